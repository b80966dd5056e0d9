"""What the wrapper found out of the server at a URL, and would have to ask again.

It lies in small files, one for the server and one for each grouping key that was
pushed there: jobs that end at the same moment do not write the same file. All of it may
be lost at any time; that costs a request, or lets a late report overwrite a newer one.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pushrelay.wrapper.replacing import replace_file
from pushrelay.wrapper.state import usable_directory

if TYPE_CHECKING:
    from pushrelay.grouping_key import GroupingKey

_VALID_SECONDS = 24 * 3600
# Reports that are older are not taken by relays, so that no spool keeps them.
_KEPT_SECONDS = 31 * 24 * 3600
_LARGEST_BYTES = 4096
_NAME_CHARACTERS = 32


class Peer:
    """The server at `url`, as far as it is known.

    directories: for the files, see `wrapper.state`; without one that can be written to,
        that it is a Pushgateway is known as long as this lives, and no times are.
    clock: tells Unix seconds.
    """

    def __init__(
        self,
        url: str,
        directories: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = hashlib.sha256(url.encode()).hexdigest()[:_NAME_CHARACTERS]
        self._directories = list(directories)
        self._clock = clock
        self._is_pushgateway: bool | None = None

    def is_pushgateway(self) -> bool:
        """Whether it was one within the last day."""
        if self._is_pushgateway is None:
            since = self._read(self._name).get("pushgateway_since")
            age = None if since is None else self._clock() - since
            self._is_pushgateway = age is not None and 0 <= age < _VALID_SECONDS
        return self._is_pushgateway

    def note_pushgateway(self) -> None:
        """Remember that it is one."""
        if self._is_pushgateway:
            return
        self._is_pushgateway = True
        self._write(self._name, {"pushgateway_since": self._clock()})
        self._prune()

    def forget(self) -> None:
        """Forget that it was a Pushgateway, for it is none any more."""
        self._is_pushgateway = False
        with suppress(OSError):
            os.unlink(self._path(self._name))

    def times(self, key: GroupingKey) -> dict[str, float]:
        """Return the newest times that were pushed to the group `key`, by the names of
        their gauges."""
        return self._read(self._name_of(key))

    def note_times(self, key: GroupingKey, times: Mapping[str, float]) -> None:
        """Remember these times of the group `key`."""
        self._write(self._name_of(key), times)

    def _name_of(self, key: GroupingKey) -> str:
        return f"{self._name}-{key.id.hex()[:_NAME_CHARACTERS]}"

    def _path(self, name: str) -> str:
        return os.path.join(usable_directory(self._directories, "peers"), name)

    def _read(self, name: str) -> dict[str, float]:
        try:
            with open(self._path(name), "rb") as file:
                return parse_numbers(file.read(_LARGEST_BYTES))
        except OSError:
            return {}

    def _write(self, name: str, numbers: Mapping[str, float]) -> None:
        content = json.dumps(numbers).encode()
        with suppress(OSError):
            replace_file(self._path(name), content, 0o600, durable=False)

    def _prune(self) -> None:
        oldest = self._clock() - _KEPT_SECONDS
        with suppress(OSError), os.scandir(self._path("")) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.path)


def parse_numbers(content: bytes) -> dict[str, float]:
    """Return the numbers of a JSON object by their names; none of what is not one."""
    try:
        found = json.loads(content, parse_int=float)
        pairs = found.items()
    except (ValueError, AttributeError, RecursionError):
        return {}
    return {name: value for name, value in pairs if isinstance(value, float)}
