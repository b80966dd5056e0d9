"""The grouping key and its path grammar, in both directions.

`/metrics/job/<job>{/<label>/<value>}`: names may carry the suffix `@base64`, and
then the value is URL-safe base64. The relay and the wrapper share this file.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote as percent_encode

from pushrelay.errors import REFUSAL, InvalidGroupingKey
from pushrelay.model import exposed_labels, is_legacy_label_name, is_utf8
from pushrelay.quoting import quote

BASE64_SUFFIX = "@base64"
_UTF8_NAME_PREFIX = "U__"
_NAME_END = b"\xff"
_PAIR_END = b"\xfe"
_BASE64 = re.compile(r"[A-Za-z0-9_-]*")
_ESCAPED_RUNE = re.compile(r"__|_([0-9a-fA-F]{1,6})_")


@dataclass(frozen=True, slots=True)
class GroupingKey:
    """The labels that identify a group: `job` first, the others sorted by name.

    Small, since there may be very many: what is not needed at each push is read from
    `canonical` when someone asks.

    canonical: the labels as bytes. Sorts groups by job and then by their labels;
        0xFE and 0xFF never occur in UTF-8, so no two keys share it.
    id: its SHA-256, the identity of the group in the database.
    """

    canonical: bytes
    id: bytes = field(compare=False, repr=False)
    _exposed: bytes | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def of(labels: Mapping[str, str]) -> GroupingKey:
        """Return the key of `labels`, which must have a `job`."""
        others = sorted(pair for pair in labels.items() if pair[0] != "job")
        ordered = (("job", labels["job"]), *others)
        return GroupingKey.from_canonical(
            b"".join(
                name.encode() + _NAME_END + value.encode() + _PAIR_END
                for name, value in ordered
            )
        )

    @staticmethod
    def from_canonical(canonical: bytes) -> GroupingKey:
        """Return the key whose labels are `canonical`."""
        return GroupingKey(canonical, hashlib.sha256(canonical).digest())

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """The label pairs."""
        pairs = [pair.split(_NAME_END) for pair in self.canonical.split(_PAIR_END)]
        return tuple([(name.decode(), value.decode()) for name, value in pairs[:-1]])

    @property
    def names(self) -> tuple[str, ...]:
        """The label names, in the order of `labels`."""
        pairs = self.canonical.split(_PAIR_END)
        return tuple([pair.partition(_NAME_END)[0].decode() for pair in pairs[:-1]])

    @property
    def job(self) -> str:
        """The value of the label `job`, which always comes first."""
        first = self.canonical.partition(_PAIR_END)[0]
        return first.partition(_NAME_END)[2].decode()

    def value_of(self, name: str) -> str:
        """Return the value of a label other than `job`, empty where there is none."""
        rest = self.canonical.partition(_PAIR_END + name.encode() + _NAME_END)[2]
        return rest.partition(_PAIR_END)[0].decode()

    @property
    def exposed(self) -> bytes:
        """The labels as each series of the group shows them, between its braces."""
        exposed = self._exposed
        if exposed is None:
            labels = sorted({"instance": "", **dict(self.labels)}.items())
            exposed = exposed_labels(labels).encode()
            object.__setattr__(self, "_exposed", exposed)
        return exposed

    @property
    def path(self) -> str:
        """The key as the part of a push URL that follows `/metrics/`."""
        return "/".join(_path_pair(name, value) for name, value in self.labels)

    def __str__(self) -> str:
        pairs = [
            (name if is_legacy_label_name(name) else quote(name)) + "=" + quote(value)
            for name, value in self.labels
        ]
        return "{" + ",".join(pairs) + "}"


def parse_path(path: str, *, utf8_names: bool = False) -> GroupingKey:
    """Return the grouping key that `path` names.

    path: what follows `/metrics/` in a push URL, percent-decoded once, bytes that
        are not UTF-8 as surrogate escapes.
    utf8_names: whether any UTF-8 string may be a label name, `U__` escapes included.

    Raises InvalidGroupingKey with the text that the Pushgateway answers.
    """
    job_name, _, rest = path.partition("/")
    encoded_job, slash, rest = rest.partition("/")
    job = _decode_job(encoded_job) if job_name.endswith(BASE64_SUFFIX) else encoded_job
    labels = _path_labels(slash + rest, utf8_names)
    return _key_of({**labels, "job": job})


def parse_job(path: str) -> str:
    """Return the job that `path` names: `jobs/<job>` or `jobs@base64/<job>`, decoded as
    for `parse_path`, but with slashes in the name. Raises InvalidGroupingKey."""
    word, _, job = path.partition("/")
    if word.endswith(BASE64_SUFFIX):
        job = _decode_job(job)
    if not job:
        raise InvalidGroupingKey("job name is required")
    if not is_utf8(job):
        raise InvalidGroupingKey("the name of the job is not valid UTF-8")
    return job


def parse_labels(labels: Mapping[str, str], *, utf8_names: bool = False) -> GroupingKey:
    """Return the grouping key of `labels` as they are, without escapes. Raises
    InvalidGroupingKey where no path could name it; `utf8_names` as for `parse_path`."""
    for name in labels:
        _check_label_name(name, utf8_names)
    return _key_of(labels)


def _key_of(labels: Mapping[str, str]) -> GroupingKey:
    if not labels.get("job"):
        raise InvalidGroupingKey("job name is required")
    for name, value in labels.items():
        if not is_utf8(name) or not is_utf8(value):
            raise InvalidGroupingKey(
                f"{REFUSAL}the grouping label {quote(name)} is not valid UTF-8: "
                f"{quote(value)}"
            )
    return GroupingKey.of(labels)


def _path_labels(rest: str, utf8_names: bool) -> dict[str, str]:
    if rest in ("", "/"):
        return {}
    components = rest[1:].split("/")
    if len(components) % 2:
        raise InvalidGroupingKey(
            f"odd number of components in label string {quote(rest)}"
        )
    labels = {}
    for written, value in zip(components[::2], components[1::2], strict=True):
        plain = written.removesuffix(BASE64_SUFFIX)
        name = _label_name(plain, utf8_names)
        labels[name] = value if plain == written else _decode_value(plain, value)
    return labels


def is_label_name(name: str, *, utf8_names: bool = False) -> bool:
    """Whether a grouping label may have this `name`."""
    return not name.startswith("__") and (
        bool(name) if utf8_names else is_legacy_label_name(name)
    )


def _check_label_name(name: str, utf8_names: bool) -> None:
    if not is_label_name(name, utf8_names=utf8_names):
        raise InvalidGroupingKey(f"improper label name {quote(name)}")


def _label_name(name: str, utf8_names: bool) -> str:
    _check_label_name(name, utf8_names)
    if not utf8_names:
        return name
    decoded = _unescape_utf8_name(name)
    # The Pushgateway lets `U___5f__5f_x` through and is wedged by it.
    if not decoded or decoded.startswith("__"):
        raise InvalidGroupingKey(f"improper label name {quote(name)}")
    return decoded


def _decode_value(name: str, value: str) -> str:
    decoded, illegal = _decode_base64(value)
    if illegal is not None:
        raise InvalidGroupingKey(
            f"invalid base64 encoding for label {name}={quote(value)}: "
            f"illegal base64 data at input byte {illegal}"
        )
    return decoded


def _decode_job(value: str) -> str:
    decoded, illegal = _decode_base64(value)
    if illegal is not None:
        raise InvalidGroupingKey(
            f"invalid base64 encoding in job name {quote(decoded)}: "
            f"illegal base64 data at input byte {illegal}"
        )
    return decoded


def _decode_base64(value: str) -> tuple[str, int | None]:
    """Decode URL-safe base64 with or without padding, as Go's RawURLEncoding does.

    Returns what could be decoded and the byte position of what could not, or None.
    """
    written = value.rstrip("=")
    text = written.replace("\r", "").replace("\n", "")
    legal = len(_BASE64.match(text)[0])  # type: ignore[index]  # it always matches
    illegal = None
    if legal < len(text):
        illegal, text = legal, text[: legal - legal % 4]
    elif legal % 4 == 1:
        illegal, text = legal - 1, text[:-1]
    if illegal is not None:
        illegal = _position_with_line_ends(written, illegal)
    decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return decoded.decode(errors="surrogateescape"), illegal


def _position_with_line_ends(written: str, position: int) -> int:
    """Return where in `written` the character is that, CR and LF not counted, is at
    `position`."""
    others = [i for i, character in enumerate(written) if character not in "\r\n"]
    return others[position]


def _unescape_utf8_name(name: str) -> str:
    """Undo the `U__` escaping of a name; a malformed one is a name as it stands."""
    if not name.startswith(_UTF8_NAME_PREFIX):
        return name
    rest, decoded, position = name[len(_UTF8_NAME_PREFIX) :], [], 0
    while position < len(rest):
        if rest[position] != "_":
            decoded.append(rest[position])
            position += 1
            continue
        escape = _ESCAPED_RUNE.match(rest, position)
        if escape is None:
            return name
        rune = int(escape[1], 16) if escape[1] else ord("_")
        if rune > 0x10FFFF or 0xD800 <= rune <= 0xDFFF:
            return name
        decoded.append(chr(rune))
        position = escape.end()
    return "".join(decoded)


def _escape_utf8_name(name: str) -> str:
    """Write a name so that `_unescape_utf8_name` gives it back."""
    return _UTF8_NAME_PREFIX + "".join(
        "__"
        if character == "_"
        else character
        if character.isascii() and character.isalnum()
        else f"_{ord(character):x}_"
        for character in name
    )


def _path_pair(name: str, value: str) -> str:
    name = name if is_legacy_label_name(name) else _escape_utf8_name(name)
    # Clients and servers clean dots and empty components away, also encoded ones.
    if value not in ("", ".", "..") and "/" not in value:
        return f"{name}/{percent_encode(value, safe='')}"
    encoded = base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")
    return f"{name}{BASE64_SUFFIX}/{encoded or '='}"
