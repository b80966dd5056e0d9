"""Builds and reads `io.prometheus.client` messages, apart from the relay's code."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

CONTENT_TYPE = (
    "application/vnd.google.protobuf; "
    "proto=io.prometheus.client.MetricFamily; encoding=delimited"
)
HEADERS = {"Content-Type": CONTENT_TYPE}

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)

# Message: field name, number and type; a capital letter names a message, * repeats.
_SCHEMA = {
    "Timestamp": "seconds=1:int64 nanos=2:int32",
    "LabelPair": "name=1:string value=2:string",
    "Gauge": "value=1:double",
    "Exemplar": "label=1:*LabelPair value=2:double timestamp=3:Timestamp",
    "Counter": "value=1:double exemplar=2:Exemplar created_timestamp=3:Timestamp",
    "Quantile": "quantile=1:double value=2:double",
    "Summary": "sample_count=1:uint64 sample_sum=2:double quantile=3:*Quantile"
    " created_timestamp=4:Timestamp",
    "Untyped": "value=1:double",
    "BucketSpan": "offset=1:sint32 length=2:uint32",
    "Bucket": "cumulative_count=1:uint64 upper_bound=2:double exemplar=3:Exemplar"
    " cumulative_count_float=4:double",
    "Histogram": "sample_count=1:uint64 sample_sum=2:double bucket=3:*Bucket"
    " sample_count_float=4:double schema=5:sint32 zero_threshold=6:double"
    " zero_count=7:uint64 zero_count_float=8:double negative_span=9:*BucketSpan"
    " negative_delta=10:*sint64 negative_count=11:*double"
    " positive_span=12:*BucketSpan positive_delta=13:*sint64"
    " positive_count=14:*double created_timestamp=15:Timestamp"
    " exemplars=16:*Exemplar",
    "Metric": "label=1:*LabelPair gauge=2:Gauge counter=3:Counter summary=4:Summary"
    " untyped=5:Untyped timestamp_ms=6:int64 histogram=7:Histogram",
    "MetricFamily": "name=1:string help=2:string type=3:int32 metric=4:*Metric"
    " unit=5:string",
}


def _messages() -> dict[str, Any]:
    package = "compat"
    file = descriptor_pb2.FileDescriptorProto(
        name="compat.proto", package=package, syntax="proto2"
    )
    field = descriptor_pb2.FieldDescriptorProto
    for message_name, fields in _SCHEMA.items():
        message = file.message_type.add(name=message_name)
        for written in fields.split():
            name, number, kind = written.replace("=", ":").split(":")
            repeated, kind = kind.startswith("*"), kind.removeprefix("*")
            added = message.field.add(name=name, number=int(number))
            added.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            if kind[0].isupper():
                added.type = field.TYPE_MESSAGE
                added.type_name = f".{package}.{kind}"
            else:
                added.type = getattr(field, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{package}.{name}")
        )
        for name in _SCHEMA
    }


_MESSAGES = _messages()
MetricFamily = _MESSAGES["MetricFamily"]


def labels(**values: str) -> list[dict[str, str]]:
    """Return label pairs as `family` takes them."""
    return [{"name": name, "value": value} for name, value in values.items()]


def family(name: str, kind: int | None, *metrics: dict[str, Any], **more: Any) -> Any:
    """Return a MetricFamily; a metric is the dictionary of its fields."""
    message = MetricFamily(name=name, metric=metrics, **more)
    if kind is not None:
        message.type = kind
    return message


def delimited(*messages: Any) -> bytes:
    """Return `messages` (or their bytes) one after another, each with its length."""
    body = b""
    for message in messages:
        if not isinstance(message, bytes):
            message = message.SerializeToString()
        body += _varint(len(message)) + message
    return body


def read_delimited(body: bytes) -> list[Any]:
    """Return the families of a delimited body."""
    families, position = [], 0
    while position < len(body):
        length, position = _read_varint(body, position)
        families.append(MetricFamily.FromString(body[position : position + length]))
        position += length
    return families


def parse_family(message: bytes) -> Any:
    """Return the family that `message` holds, without a length before it."""
    return MetricFamily.FromString(message)


def _varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    """Return the number at `position`, and where it ends."""
    number = shift = 0
    while True:
        byte = body[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return number, position
        shift += 7


NATIVE = delimited(
    family(
        "native",
        HISTOGRAM,
        {
            "histogram": {
                "sample_count": 6,
                "sample_sum": 9.5,
                "schema": 0,
                "zero_threshold": 0.001,
                "zero_count": 1,
                "positive_span": [{"offset": 0, "length": 2}],
                "positive_delta": [1, 1],
                "negative_span": [{"offset": 0, "length": 1}],
                "negative_delta": [2],
            }
        },
    )
)
"""A body with a native histogram."""
