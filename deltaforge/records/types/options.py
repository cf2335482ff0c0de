"""How columns become fields: what can be chosen."""

from __future__ import annotations

from typing import Literal

import msgspec

TimePrecision = Literal["adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"]


class ConnectOptions(msgspec.Struct, frozen=True):
    """Of Debezium's fields; the names and values are those of its properties.

    Attributes:
        decimal_handling: ``precise``: the exact digits as bytes; ``string``; ``double``: the nearest.
        time_precision: None: what Debezium does unasked, ``adaptive``, on MySQL and MariaDB
            ``adaptive_time_microseconds``.
        bigint_unsigned_handling: ``precise``: a decimal; ``long``: 64 bits, which makes negative numbers of those
            beyond. Debezium's own default is ``long``.
        binary_handling: Bytes as they are, or as text.
        interval_handling: Of PostgreSQL's intervals: microseconds, with years of 365.25 days and months of a twelfth of
            one, or ISO 8601 text.
        hstore_handling: A map, or text with the JSON object.
        money_fraction_digits: Digits after the point of PostgreSQL's ``money``.
        include_unknown_datatypes: Columns of types that Debezium does not know are there, as bytes; otherwise they are
            left out, as it does unasked.
    """

    decimal_handling: Literal["precise", "string", "double"] = "precise"
    time_precision: TimePrecision | None = None
    bigint_unsigned_handling: Literal["long", "precise"] = "precise"
    binary_handling: Literal["bytes", "base64", "base64-url-safe", "hex"] = "bytes"
    interval_handling: Literal["numeric", "string"] = "numeric"
    hstore_handling: Literal["map", "json"] = "json"
    money_fraction_digits: int = 2
    include_unknown_datatypes: bool = False


class CdcModes(msgspec.Struct, frozen=True):
    """Of the fields of ``deltaforge.cdc`` records (contract 03 section 5).

    Attributes:
        unsigned_bigint_mode: ``string``, or ``long``, which cannot hold numbers beyond 63 bits.
        enum_mode: ``string``, or ``enum`` where Avro can have the labels as names.
        naive_timestamp_mode: Dates with a time and without a zone: ``string``, or ``timestamp``, as if in UTC.
    """

    unsigned_bigint_mode: Literal["string", "long"] = "string"
    enum_mode: Literal["string", "enum"] = "string"
    naive_timestamp_mode: Literal["string", "timestamp"] = "string"
