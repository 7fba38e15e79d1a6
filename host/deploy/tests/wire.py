"""Just enough of protobuf's wire format for tests/aws_provider.py: fields of varints, texts, bytes and messages.

Source: https://protobuf.dev/programming-guides/encoding/
"""

VARINT, BYTES = 0, 2


def varint(number):
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(number, value):
    """One field of a message: a bool or a number as a varint, all else with its length before it. False and 0 are left out, as protobuf does."""
    if isinstance(value, bool | int):
        return varint(number << 3 | VARINT) + varint(int(value)) if value else b""
    encoded = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(encoded)) + encoded


def entry(number, key, value):
    """One entry of a map with texts as keys."""
    return field(number, field(1, key) + field(2, value))


def fields(message):
    """The fields of a message by their numbers; of a repeated one the last."""
    found, at = {}, 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        value, at = _varint(message, at)
        if kind == BYTES:
            value, at = message[at : at + value], at + value
        elif kind != VARINT:
            raise ValueError(f"field {number} is of the kind {kind}, which is not known here")
        found[number] = value
    return found


def _varint(message, at):
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
