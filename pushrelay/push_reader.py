"""Reads pushes: from a decoded body to what the store's writer is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf

from pushrelay.aggregation import Mode
from pushrelay.config import Limits
from pushrelay.errors import InconsistentPush, InvalidRequest, LimitExceeded
from pushrelay.exposition.labels import check_grouping_labels, check_labels
from pushrelay.exposition.negotiation import PushFormat
from pushrelay.exposition.protobuf_parser import parse_protobuf
from pushrelay.exposition.stored import to_payload
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import EMPTY, Payload
from pushrelay.model import PUSH_EVIDENCE, Histogram, Metric, MetricFamily, Summary
from pushrelay.soundness import check_alone
from pushrelay.splitting import split
from pushrelay.template_memo import Templates
from pushrelay.writes import Push


class PushReader:
    """Reads bodies within `limits`. May be used by several threads.

    utf8_names: whether quoted names may be any UTF-8, instead of legacy names only.
    templates: what it knows of the latest pushes.
    """

    def __init__(self, limits: Limits, *, utf8_names: bool) -> None:
        self._limits = limits
        self._utf8_names = utf8_names
        self.templates = Templates(self._read_marked, limits.rendered_bytes)

    def read(
        self,
        body: bytes,
        format_: PushFormat,
        key: GroupingKey,
        mode: Mode,
        now: int,
        limits: Limits | None = None,
    ) -> Push:
        """Return the push of `body` to the group `key` at `now` (Unix nanoseconds).

        limits: of this group, if it has tighter ones.

        Raises ParseError with the Pushgateway's text, InvalidLabels and LimitExceeded.
        """
        if format_ is PushFormat.TEXT and limits is None:
            payload = self.templates.fill(body, key, now)
            if payload is not None:
                return Push(key, mode, now, payload)
        return self._read_whole(body, format_, key, mode, now, limits or self._limits)

    def read_groups(
        self,
        body: bytes,
        format_: PushFormat,
        by: Sequence[str],
        mode_of: Callable[[GroupingKey], Mode],
        now: int,
        limits: Limits,
        limits_of: Callable[[GroupingKey], Limits],
    ) -> list[Push]:
        """Return a push for each group that `body` has series of, going by the labels
        `by`.

        limits: of the whole. limits_of: gives those of a group, which may be tighter.

        Raises what `read` and `split` raise.
        """
        # Labels of the groups may be among those of the series.
        of_body = replace(self._limits, series=limits.series)
        families = self._parse(body, format_, None, of_body)
        groups = split(families, by, self._limits.groups)
        for key, part in groups.items():
            check_grouping_labels(key, limits)
            own = limits_of(key)
            if own != self._limits:
                _check_within(own, key, part)
        if groups:
            largest = max(groups, key=lambda key: len(key.canonical))
            self._require_renderable(families, largest)
        return [
            prepare_push(key, part, mode_of(key), now) for key, part in groups.items()
        ]

    def _read_whole(
        self,
        body: bytes,
        format_: PushFormat,
        key: GroupingKey,
        mode: Mode,
        now: int,
        limits: Limits,
    ) -> Push:
        families = self._parse(body, format_, key, limits)
        self._require_renderable(families, key)
        return prepare_push(key, families, mode, now)

    def _parse(
        self, body: bytes, format_: PushFormat, key: GroupingKey | None, limits: Limits
    ) -> list[MetricFamily]:
        if format_ is PushFormat.PROTOBUF:
            return parse_protobuf(body, key, limits)
        return parse_text(body, key, limits, utf8_names=self._utf8_names)

    def _read_marked(self, body: bytes, key: GroupingKey) -> Payload | None:
        text, limits = PushFormat.TEXT, self._limits
        try:
            push = self._read_whole(body, text, key, Mode.REPLACE, 0, limits)
        except (InvalidRequest, LimitExceeded):
            # Marks may be longer than what they stand for.
            return None
        return push.payload if push.refusal is None else None

    def _require_renderable(
        self, families: list[MetricFamily], key: GroupingKey
    ) -> None:
        """Raise LimitExceeded if the lines of the exposition, each of which bears the
        labels of `key`, would take far more than the largest body may."""
        most = self._limits.rendered_bytes
        repeated = sum(
            [_repeated_bytes(f, len(key.canonical)) for f in _shown(families)]
        )
        if repeated > most:
            raise LimitExceeded(
                "rendered_bytes",
                f"the lines of the push would take more than {most} bytes, with their "
                "names, their labels and the labels of their group",
            )


def prepare_push(
    key: GroupingKey, families: list[MetricFamily], mode: Mode, now: int
) -> Push:
    """Return the push of `families` to the group `key` at `now` (Unix nanoseconds).

    Renders the series, which takes time for large pushes.
    """
    try:
        check_alone(families, key)
    except InconsistentPush as refusal:
        return Push(key, mode, now, EMPTY, refusal=refusal)
    # The push times are ours to keep: what a body says of them is overridden.
    taken = _shown(families)
    return Push(key, mode, now, to_payload(taken, now), taken)


def _check_within(
    limits: Limits, key: GroupingKey, families: list[MetricFamily]
) -> None:
    """Raise LimitExceeded if the group `key` must not be pushed so many series, or
    such labels beyond its own."""
    series = sum([len(family.metrics) for family in families])
    if series > limits.series:
        raise LimitExceeded(
            "series",
            f"the body has {series} series of the group {key}; its limit is "
            f"{limits.series}",
        )
    of_group = {*key.names, "instance"}
    for family in families:
        for metric in family.metrics:
            own = [pair for pair in metric.labels if pair[0] not in of_group]
            try:
                check_labels(own, limits)
            except LimitExceeded as error:
                place = f"a series {family.name} of the group {key}"
                raise LimitExceeded(error.limit, f"{place}: {error}") from error


def _shown(families: list[MetricFamily]) -> list[MetricFamily]:
    return [family for family in families if family.name not in PUSH_EVIDENCE]


def _repeated_bytes(family: MetricFamily, key_bytes: int) -> int:
    """Return how much of `family` each of its lines has: in protobuf, its name comes
    once for all of them, and labels once for all lines of a histogram."""
    name_bytes = _size(family.name) + key_bytes
    size = 0
    for metric in family.metrics:
        lines = _lines(metric)
        size += lines * name_bytes
        if lines > 1:
            size += lines * sum([_size(n) + _size(v) for n, v in metric.labels])
    return size


def _size(text: str) -> int:
    return len(text.encode(errors="surrogateescape"))


def _lines(metric: Metric) -> int:
    if isinstance(metric.value, Summary):
        return len(metric.value.quantiles) + 2
    if isinstance(metric.value, Histogram):
        buckets = metric.value.buckets
        return len(buckets) + (2 if any(bound == inf for bound, _ in buckets) else 3)
    return 1
