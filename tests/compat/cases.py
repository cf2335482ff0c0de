"""The settings under which both sides are run: properties of Debezium's connector, which ours are imported from."""

from typing import NamedTuple

JSON, SCHEMAS, AVRO = "json", "schemas", "avro"


class Case(NamedTuple):
    """``properties`` beside those that every case has."""

    name: str
    form: str
    properties: dict[str, str]


EVERYTHING = {"provide.transaction.metadata": "true", "skipped.operations": "none"}
NULLS = {"value.converter.replace.null.with.default": "false", "key.converter.replace.null.with.default": "false"}
NAMES = {"schema.name.adjustment.mode": "avro", "field.name.adjustment.mode": "avro"}
COLUMNS = {
    "column.exclude.list": r".*[.]secrets[.]hidden",
    "column.mask.with.12.chars": r".*[.]secrets[.]card",
    "column.mask.hash.v2.SHA-256.with.salt.pepper": r".*[.]secrets[.]phone",
    "column.truncate.to.5.chars": r".*[.]secrets[.]note",
    "message.key.columns": r".*[.]no_key:a;.*[.]secrets:name,id",
    "tombstones.on.delete": "false",
}
CHOSEN = {
    "schema.name.adjustment.mode": "avro_unicode",
    "field.name.adjustment.mode": "avro_unicode",
    "column.include.list": ".*[.]orders[.](id|customer|note),.*[.](parts|finish|users|parent|child|odd-name[$]1|Table.One)[.].*",
    "skip.messages.without.change": "true",
    "column.mask.hash.SHA-256.with.salt.pepper": ".*[.]users[.]e_mail",
    "message.key.columns": ".*[.]orders:customer,id",
}
SOURCE_TYPES = {
    "datatype.propagate.source.type": ".*[.]users[.](DATE|VARCHAR|UUID|BINARY)",
    "column.propagate.source.type": ".*[.](numbers|times|texts|orders|parts|arrays|later|domains|shapes|others|defaults)[.].*",
}
_MYSQL = {"include.schema.changes": "false"}
_PRECISE = {"bigint.unsigned.handling.mode": "precise"}
CASES = {
    "mysql": [
        Case("json", JSON, EVERYTHING | _PRECISE | NULLS),
        Case("schemas", SCHEMAS, EVERYTHING | _PRECISE),
        Case("avro", AVRO, EVERYTHING | _PRECISE | NAMES),
        Case("text", SCHEMAS, _MYSQL | _PRECISE | {"decimal.handling.mode": "string", "time.precision.mode": "isostring",
             "binary.handling.mode": "hex", "include.query": "true"}),
        Case("connect", SCHEMAS, _MYSQL | {"decimal.handling.mode": "double", "time.precision.mode": "connect",
             "binary.handling.mode": "base64"}),
        Case("micros", JSON, _MYSQL | COLUMNS | {"time.precision.mode": "microseconds", "binary.handling.mode": "base64-url-safe"}),
        Case("nanos", SCHEMAS, _MYSQL | {"time.precision.mode": "nanoseconds", "heartbeat.interval.ms": "500"}),
        Case("chosen", SCHEMAS, _MYSQL | CHOSEN | {"skipped.operations": "d,t"}),
        Case("types", SCHEMAS, _MYSQL | SOURCE_TYPES),
    ],
    "postgres": [
        Case("json", JSON, EVERYTHING | NULLS),
        Case("schemas", SCHEMAS, EVERYTHING),
        Case("avro", AVRO, EVERYTHING | NAMES),
        Case("text", SCHEMAS, {"decimal.handling.mode": "string", "time.precision.mode": "isostring", "binary.handling.mode": "hex",
             "interval.handling.mode": "string", "hstore.handling.mode": "map", "include.unknown.datatypes": "true"}),
        Case("connect", SCHEMAS, {"decimal.handling.mode": "double", "time.precision.mode": "connect", "binary.handling.mode": "base64"}),
        Case("micros", JSON, COLUMNS | {"time.precision.mode": "microseconds", "binary.handling.mode": "base64-url-safe"}),
        Case("nanos", SCHEMAS, {"time.precision.mode": "nanoseconds", "heartbeat.interval.ms": "500"}),
        Case("atmicros", SCHEMAS, {"time.precision.mode": "adaptive_time_microseconds", "unavailable.value.placeholder": "not there"}),
        Case("chosen", SCHEMAS, CHOSEN | {"skipped.operations": "u,t"}),
        Case("types", SCHEMAS, SOURCE_TYPES),
        Case("root", JSON, EVERYTHING | {"publication.name": "pub_root"}),
    ],
}  # fmt: skip
CASES["mariadb"] = CASES["mysql"]
CASES["postgres-15"] = CASES["postgres"]
