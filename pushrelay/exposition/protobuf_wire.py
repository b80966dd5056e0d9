"""The parts of the protobuf encoding that the protobuf package has no interface for:
the framing of a stream of messages, and single fields.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from pushrelay.errors import InvalidRequest

_VARINT, _LENGTH_DELIMITED, _START_OF_GROUP, _END_OF_GROUP = 0, 2, 3, 4
_FIXED_SIZES = {1: 8, 5: 4}
_ONE_BYTE = [bytes([value]) for value in range(0x80)]
_VARINT_BYTES = 10
_UINT32_MASK = 2**32 - 1


def varint(value: int) -> bytes:
    """Encode `value`, which must not be negative."""
    if value < 0x80:
        return _ONE_BYTE[value]
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the varint at `position` and the position behind it.

    Raises InvalidRequest if it ends too early or never.
    """
    value = 0
    encoded = data[position : position + _VARINT_BYTES]
    for index, byte in enumerate(encoded):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80 and not value >> 64:
            return value, position + index + 1
        if byte < 0x80:
            break
    else:
        if len(encoded) < _VARINT_BYTES:
            raise InvalidRequest("unexpected EOF")
    raise InvalidRequest("proto: variable length integer overflow")


def split_delimited(stream: bytes) -> Iterator[bytes]:
    """Yield the messages of `stream`, each of which follows its length as a varint.

    Raises InvalidRequest where the stream ends inside of a message.
    """
    position = 0
    while position < len(stream):
        length, start = read_varint(stream, position)
        position = start + length
        if position > len(stream):
            raise InvalidRequest("unexpected EOF")
        yield stream[start:position]


def has_more_fields(message: bytes, number: int, most: int) -> bool:
    """Whether `message` has more than `most` length-delimited fields `number`.

    Looks no further than it must. What is not a message counts up to where it stops
    being one.
    """
    tag, count = number << 3 | _LENGTH_DELIMITED, 0
    try:
        for found, _ in _fields(message):
            count += found == tag
            if count > most:
                return True
    except InvalidRequest:
        pass
    return False


def has_other_values(message: bytes, number: int, values: Container[int]) -> bool:
    """Whether `message`, which is one, has a field `number` that is not one of the
    `values` of an enum."""
    return any(
        tag >> 3 == number
        and (tag & 7 != _VARINT or value & _UINT32_MASK not in values)
        for tag, value in _fields(message)
    )


def _fields(message: bytes) -> Iterator[tuple[int, int]]:
    """Yield the tag of each field of `message`, and the value if that is a varint. A
    group is one field."""
    position, depth, end = 0, 0, len(message)
    while position < end:
        value = 0
        tag, position = read_varint(message, position)
        wire_type = tag & 7
        if wire_type == _VARINT:
            value, position = read_varint(message, position)
        elif wire_type == _LENGTH_DELIMITED:
            length, position = read_varint(message, position)
            position += length
        elif wire_type in _FIXED_SIZES:
            position += _FIXED_SIZES[wire_type]
        elif wire_type == _END_OF_GROUP:
            depth -= 1
        if not depth:
            yield tag, value
        if wire_type == _START_OF_GROUP:
            depth += 1
