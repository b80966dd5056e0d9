"""The parts of the protobuf encoding that the protobuf package has no interface for:
the framing of a stream of messages, and single fields.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

from pushrelay.errors import InvalidRequest

_LENGTH_DELIMITED = 2
_FIXED_SIZES = {1: 8, 5: 4}
_ONE_BYTE = [bytes([value]) for value in range(0x80)]
_VARINT_BYTES = 10


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
        for found in _tags(message):
            count += found == tag
            if count > most:
                return True
    except InvalidRequest:
        pass
    return False


def _tags(message: bytes) -> Iterator[int]:
    position, end = 0, len(message)
    while position < end:
        tag, position = read_varint(message, position)
        wire_type = tag & 7
        if wire_type == _LENGTH_DELIMITED:
            length, position = read_varint(message, position)
            position += length
        elif wire_type in _FIXED_SIZES:
            position += _FIXED_SIZES[wire_type]
        elif wire_type == 0:
            _, position = read_varint(message, position)
        # The two types that are left are the brackets of a group, which have no value.
        yield tag
