"""Turns series from the text format into the protobuf format without making objects
of them, for which a scrape of very many groups has no time.

Reads only what `text_renderer` writes: legacy names, labels in place, numbers after the
last blank; of each summary or histogram the bounds, the sum and the count in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import chain, islice
from operator import add

from pushrelay.exposition import protobuf_fields as fields
from pushrelay.model import MetricType

_PIECE = 64 * 1024
"""Bytes that are split at once: meanwhile all other threads wait."""

_BATCH = 1024
"""Metrics that are joined at once, for the same reason."""

_REMEMBERED = 4096

# Each escape as one byte that UTF-8 never has: what is left of quotes are those around
# values.
_MASKS = {rb"\\": b"\xff", rb"\"": b"\xfe", rb"\n": b"\xfd"}
_UNMASKED = bytes.maketrans(b"\xff\xfe\xfd", b'\\"\n')

_DOUBLE_BYTES = len(fields.double(fields.UPPER_BOUND, 0.0))
_UINT64_END = 2.0**64

_Lines = Iterator[bytes]
_EncodeValue = Callable[[float, float, list[bytes], list[float]], bytes]
"""From count, sum, bounds and their numbers to the value of a metric."""


def transcode(series: bytes, name: str, type_: MetricType) -> bytes:
    """Return the metrics of the family `name` as `encode_metrics` encodes them.

    series: the lines of any number of groups that keep no message of the family.
    """
    metrics = _TRANSCODERS[type_](_lines(series), name.encode())
    return b"".join(iter(lambda: b"".join(islice(metrics, _BATCH)), b""))


def _lines(series: bytes) -> _Lines:
    """Yield the lines, escapes masked."""
    return chain.from_iterable(map(_split, _pieces(series)))


def _pieces(series: bytes) -> Iterator[bytes]:
    """Yield some lines at a time, without the last line feed."""
    start, last = 0, len(series) - 1
    while start < last:
        end = series.find(b"\n", min(start + _PIECE, last))
        yield series[start:end]
        start = end + 1


def _split(piece: bytes) -> list[bytes]:
    if b"\\" in piece:
        for escape, mask in _MASKS.items():
            piece = piece.replace(escape, mask)
    return piece.split(b"\n")


class _LabelHeads(dict[int, bytes]):
    """What precedes the value of the label `name`, by the length of the value."""

    def __init__(self, name: bytes) -> None:
        super().__init__()
        self._name = fields.message(fields.PAIR_NAME, name)

    def __missing__(self, length: int) -> bytes:
        inner = self._name + fields.message_head(fields.PAIR_VALUE, length)
        head = fields.message_head(fields.LABEL, len(inner) + length) + inner
        self[length] = head
        return head


class _Labels(dict[bytes, _LabelHeads]):
    """Encodes labels: holds the heads by what stands before the quote of a value, be it
    `,name=` or, with the start of the line, `x{name=`."""

    def __missing__(self, before: bytes) -> _LabelHeads:
        name = before[:-1].lstrip(b",").rpartition(b"{")[2]
        heads = self[before] = _LabelHeads(name)
        return heads

    def read(self, line: bytes) -> tuple[bytes, float]:
        """Return the encoded labels and the number of a line."""
        parts = line.split(b'"')
        if not line.isascii():  # Masks are not.
            parts = [part.translate(_UNMASKED) for part in parts]
        number = _number(parts.pop())
        for at in range(0, len(parts), 2):
            parts[at] = self[parts[at]][len(parts[at + 1])]
        return b"".join(parts), number


def _number(text: bytes) -> float:
    return float(text.rpartition(b" ")[2])


def _single_values(tag: int, lines: _Lines, name: bytes) -> Iterator[bytes]:
    labels = _Labels()
    for line in lines:
        encoded, number = labels.read(line)
        yield _metric(encoded + fields.single_value(tag, number))


def _joined_values(
    suffix: bytes, encode: _EncodeValue, lines: _Lines, name: bytes
) -> Iterator[bytes]:
    """Encode what is spread over several lines.

    suffix: how the names of lines with a bound end.
    """
    labels = _Labels()
    bounded, sums = name + suffix + b"{", name + b"_sum"
    bounds: list[bytes] = []
    numbers: list[float] = []
    total = 0.0
    for line in lines:
        if line.startswith(bounded):
            _, bound, rest = line.rsplit(b'"', 2)
            bounds.append(bound)
            numbers.append(float(rest.removeprefix(b"}")))
        elif line.startswith(sums):
            total = _number(line)
        else:
            encoded, count = labels.read(line)
            yield _metric(encoded + encode(count, total, bounds, numbers))
            bounds, numbers = [], []


def _summary(
    count: float, total: float, ranks: list[bytes], numbers: list[float]
) -> bytes:
    parts = [fields.count(int(count)), fields.double(fields.SAMPLE_SUM, total)]
    parts += map(fields.quantile, map(float, ranks), numbers)
    return fields.message(fields.SUMMARY, b"".join(parts))


def _histogram(
    count: float, total: float, bounds: list[bytes], counts: list[float]
) -> bytes:
    all_counts = [count, *counts]
    if all(map(float.is_integer, all_counts)) and max(all_counts) < _UINT64_END:
        sample_count = fields.count(int(count))
        heads = map(_integer_bucket_head, map(int, counts))
    else:
        sample_count = fields.count(count)
        heads = map(_bucket_head, counts)
    parts = [sample_count, fields.double(fields.SAMPLE_SUM, total)]
    parts += map(add, heads, map(_upper_bound, bounds))
    return fields.message(fields.HISTOGRAM, b"".join(parts))


def _bucket_head(count: int | float) -> bytes:
    """Return all of a bucket but its upper bound, which comes last."""
    encoded = fields.count(count)
    length = len(encoded) + _DOUBLE_BYTES
    return fields.message_head(fields.BUCKET, length) + encoded


@lru_cache(maxsize=_REMEMBERED)
def _integer_bucket_head(count: int) -> bytes:
    return _bucket_head(count)


@lru_cache(maxsize=_REMEMBERED)
def _upper_bound(bound: bytes) -> bytes:
    return fields.double(fields.UPPER_BOUND, float(bound))


def _metric(payload: bytes) -> bytes:
    return _metric_head(len(payload)) + payload


@lru_cache(maxsize=_REMEMBERED)
def _metric_head(length: int) -> bytes:
    return fields.message_head(fields.METRIC, length)


_histograms = partial(_joined_values, b"_bucket", _histogram)
_TRANSCODERS: dict[MetricType, Callable[[_Lines, bytes], Iterator[bytes]]] = {
    MetricType.COUNTER: partial(_single_values, fields.COUNTER),
    MetricType.GAUGE: partial(_single_values, fields.GAUGE),
    MetricType.UNTYPED: partial(_single_values, fields.UNTYPED),
    MetricType.SUMMARY: partial(_joined_values, b"", _summary),
    MetricType.HISTOGRAM: _histograms,
    MetricType.GAUGE_HISTOGRAM: _histograms,
}
