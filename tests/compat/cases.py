"""The settings under which both sides are run: Debezium's properties, and what our document has for them."""

from typing import Any, NamedTuple

JSON, SCHEMAS, AVRO = "json", "schemas", "avro"


class Case(NamedTuple):
    """``theirs`` are properties of Debezium's connector, ``ours`` options of the envelope."""

    name: str
    form: str
    theirs: dict[str, str]
    ours: dict[str, Any]
    of_source: tuple[tuple[str, Any], ...] = ()


EVERYTHING = {"provide.transaction.metadata": "true", "include.schema.changes": "true", "skipped.operations": "none"}
OURS_EVERYTHING = {"provide_transaction_metadata": True, "include_schema_changes": True, "skipped_operations": ["none"]}
COLUMNS = {
    "column.exclude.list": r".*[.]secrets[.]hidden",
    "column.mask.with.12.chars": r".*[.]secrets[.]card",
    "column.mask.hash.v2.SHA-256.with.salt.pepper": r".*[.]secrets[.]phone",
    "column.truncate.to.5.chars": r".*[.]secrets[.]note",
    "message.key.columns": r".*[.]no_key:a;.*[.]secrets:name,id",
    "tombstones.on.delete": "false",
}
OURS_COLUMNS = {
    "column_exclude_list": [r".*[.]secrets[.]hidden"],
    "column_mask": {"12": [r".*[.]secrets[.]card"]},
    "column_hash": {"SHA-256/pepper": [r".*[.]secrets[.]phone"]},
    "column_truncate": {"5": [r".*[.]secrets[.]note"]},
    "message_key_columns": r".*[.]no_key:a;.*[.]secrets:name,id",
    "tombstones_on_delete": False,
}
CASES = {
    "mysql": [
        Case("json", JSON, EVERYTHING, OURS_EVERYTHING),
        Case("schemas", SCHEMAS, EVERYTHING, OURS_EVERYTHING),
        Case("avro", AVRO, {**EVERYTHING, "schema.name.adjustment.mode": "avro", "field.name.adjustment.mode": "avro"},
             {**OURS_EVERYTHING, "schema_name_adjustment": "avro", "field_name_adjustment": "avro"}),
        Case("text", SCHEMAS,
             {"decimal.handling.mode": "string", "time.precision.mode": "isostring", "bigint.unsigned.handling.mode": "precise",
              "binary.handling.mode": "hex", "include.query": "true", "include.schema.changes": "false"},
             {"decimal_handling": "string", "time_precision": "isostring", "bigint_unsigned_handling": "precise",
              "binary_handling": "hex", "include_query": True, "include_schema_changes": False}),
        Case("connect", SCHEMAS,
             {"decimal.handling.mode": "double", "time.precision.mode": "connect", "binary.handling.mode": "base64",
              "include.schema.changes": "false"},
             {"decimal_handling": "double", "time_precision": "connect", "bigint_unsigned_handling": "long",
              "binary_handling": "base64", "include_schema_changes": False}),
        Case("micros", JSON,
             {"time.precision.mode": "microseconds", "binary.handling.mode": "base64-url-safe", "include.schema.changes": "false", **COLUMNS},
             {"time_precision": "microseconds", "bigint_unsigned_handling": "long", "binary_handling": "base64-url-safe",
              "include_schema_changes": False, **OURS_COLUMNS}),
        Case("nanos", SCHEMAS, {"time.precision.mode": "nanoseconds", "include.schema.changes": "false",
                                "heartbeat.interval.ms": "500"},
             {"time_precision": "nanoseconds", "bigint_unsigned_handling": "long", "include_schema_changes": False}),
    ],
    "postgres": [
        Case("json", JSON, EVERYTHING, OURS_EVERYTHING),
        Case("schemas", SCHEMAS, EVERYTHING, OURS_EVERYTHING),
        Case("avro", AVRO, {**EVERYTHING, "schema.name.adjustment.mode": "avro", "field.name.adjustment.mode": "avro"},
             {**OURS_EVERYTHING, "schema_name_adjustment": "avro", "field_name_adjustment": "avro"}),
        Case("text", SCHEMAS,
             {"decimal.handling.mode": "string", "time.precision.mode": "isostring", "binary.handling.mode": "hex",
              "interval.handling.mode": "string", "hstore.handling.mode": "map", "include.unknown.datatypes": "true"},
             {"decimal_handling": "string", "time_precision": "isostring", "binary_handling": "hex",
              "interval_handling": "string", "hstore_handling": "map", "include_unknown_datatypes": True}),
        Case("connect", SCHEMAS,
             {"decimal.handling.mode": "double", "time.precision.mode": "connect", "binary.handling.mode": "base64"},
             {"decimal_handling": "double", "time_precision": "connect", "binary_handling": "base64"}),
        Case("micros", JSON,
             {"time.precision.mode": "microseconds", "binary.handling.mode": "base64-url-safe", **COLUMNS},
             {"time_precision": "microseconds", "binary_handling": "base64-url-safe", **OURS_COLUMNS}),
        Case("nanos", SCHEMAS, {"time.precision.mode": "nanoseconds", "heartbeat.interval.ms": "500"}, {"time_precision": "nanoseconds"}),
        Case("atmicros", SCHEMAS, {"time.precision.mode": "adaptive_time_microseconds", "unavailable.value.placeholder": "not there"},
             {"time_precision": "adaptive_time_microseconds", "unavailable_value_placeholder": "not there"}),
    ],
}  # fmt: skip
CASES["mariadb"] = CASES["mysql"]
CASES["postgres-15"] = CASES["postgres"]
