"""What becomes of a column's value in a record."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Form(IntEnum):
    """The form that a value takes in a record. The kernel goes by the numbers.

    Values come from the JSON values of row images (contract 03 section 4, "ours") in Python, and from the bytes of the
    log in the kernel; both give the same.
    """

    BOOLEAN = 0  # bool
    INTEGER = 1  # int of any width
    SINGLE = 2  # float of 32 bits
    DOUBLE = 3  # float of 64 bits; of a decimal: the nearest
    TEXT = 4  # str: the text of the image, of a decimal its digits
    JSON_TEXT = 5  # str: the image's value as JSON
    BYTES = 6  # bytes
    DAYS = 7  # int: of a date since 1970
    MILLIS = 8  # int: of a time since midnight, or of a date and time since 1970
    MICROS = 9  # the same
    NANOS = 10  # the same
    DECIMAL = 11  # bytes: two's complement, big-endian, of the value times 10^scale
    VARIABLE_DECIMAL = 12  # struct {scale, value}
    BITS = 13  # bytes, little-endian, `size` of them; 0: without zeros at the end
    INTERVAL_MICROS = 14  # int
    ZONED_TEXT = 15  # str: ISO 8601 in UTC with Z; of the fraction no zeros at the end, but `size` digits at least
    GEOMETRY = 16  # struct {wkb, srid}
    POINT = 17  # struct {x, y, wkb, srid}
    ARRAY = 18  # list of `items`
    MAP = 19  # dict of texts
    WRAPPED_INTEGER = 20  # int: of an unsigned one, the signed one that has the same 64 bits
    BASE64 = 21  # str: of bytes
    BASE64_URL = 22  # str: in the letters of URLs
    HEX = 23  # str: in lower case
    ISO_DATE = 24  # str
    ISO_TIME = 25  # str
    ISO_STAMP = 26  # str
    ISO_INTERVAL = 27  # str
    ZONED_TIME = 28  # str: a time in UTC with Z
    BIT = 29  # bool: of `bit(1)`
    MONEY = 30  # bytes: as DECIMAL
    MONEY_TEXT = 31  # str
    MONEY_DOUBLE = 32  # float
    TEXT_BYTES = 33  # bytes: of the text of the image
    LABEL = 34  # int: place among `labels`
    DAY_MILLIS = 35  # int: MILLIS of a time that is one of a day
    DAY_MICROS = 36  # int: MICROS of a time that is one of a day
    NUMBER_TEXT = 37  # str: the digits of an integer
    WIDENED_SINGLE = 38  # float of 64 bits that is equal to one of 32
    UUID_TEXT = 39  # str: of 16 bytes
    MASK = 40  # str: the one of `labels`, whatever the value
    HASH = 41  # str: of the text of `items` and a salt, `labels` are algorithm and salt, at most `size` digits
    CUT_TEXT = 42  # str: of `items`, at most `size` letters
    CUT_BYTES = 43  # bytes: of `items`, at most `size`
    HEADER_MOMENT = 44  # str: of the number of `items`, as Connect writes moments into headers


class Conversion(msgspec.Struct, frozen=True):
    """A form with its settings.

    Attributes:
        scale: DECIMAL: digits after the point. HASH: 1: of the text as Java serializes it.
        size: BITS: bytes; ZONED_TEXT: digits. HASH, CUT: the most of them; 0: all.
        items: ARRAY: of its items. HASH, CUT, HEADER_MOMENT: of the value before.
        has_nulls: ARRAY: whether an item may be null.
        labels: LABEL: in the order of their declaration. MASK, HASH: see there.
    """

    form: Form
    scale: int = 0
    size: int = 0
    items: Conversion | None = None
    labels: tuple[str, ...] = ()
    has_nulls: bool = True
