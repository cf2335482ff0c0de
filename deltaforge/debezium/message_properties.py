"""Properties that say which rows become messages, and what these hold."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

from deltaforge.debezium.draft import Draft, has_reference
from deltaforge.debezium.names import split_list
from deltaforge.debezium.properties import (
    MYSQL,
    POSTGRES,
    Property,
    Take,
    elsewhere,
    lost,
    needless,
    number,
    option,
    switch,
)

_OPERATIONS = ("c", "u", "d", "t", "r", "none")
_ADJUSTMENTS = {"none": "none", "avro": "avro", "avro_unicode": "avro_unicode"}
_PRECISIONS = ("adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds")
_TOPICS = "topics are named as Debezium's default strategy names them, `<prefix>.<schema>.<table>`"
_STRATEGY = "io.debezium.schema.schematopicnamingstrategy"


def _same(*values: str) -> dict[str, object]:
    return {value: value for value in values}


def _skipped(draft: Draft, value: str) -> None:
    found = [part.lower() for part in split_list(value)]
    if set(found) <= set(_OPERATIONS):
        draft.envelope["skipped_operations"] = [part for part in found if part != "none"]
    else:
        draft.refuse(f"operations are {', '.join(_OPERATIONS)}")


def _listed(setting: str) -> Take:
    """A list of regular expressions that the option takes as they are."""

    def take(draft: Draft, value: str) -> None:
        if found := _expressions(draft, value):
            draft.envelope[setting] = found

    return take


def _expressions(draft: Draft, value: str) -> list[str]:
    """The members of a list of regular expressions; none where one of them is not understood, which is said."""
    found = split_list(value)
    if has_reference(value):
        draft.refuse("write the list out: a variable stands for a single value")
        return []
    if bad := next(filter(_is_faulty, found), None):
        draft.refuse(f"{bad[:60]!r} is no regular expression that is read here")
        return []
    return found


def _of_length(setting: str) -> Take:
    """A list of regular expressions, and a length that is part of the name."""

    def take(draft: Draft, value: str) -> None:
        if not draft.parts[0].isdecimal():
            draft.refuse("the length is no whole number")
        elif columns := _expressions(draft, value):
            found = {"columns": columns, "length": int(draft.parts[0])}
            draft.envelope.setdefault(setting, []).append(found)

    return take


def _hashed(version: int) -> Callable[[Draft, str], None]:
    """A list of regular expressions, and algorithm and salt that are parts of the name."""

    def take(draft: Draft, value: str) -> None:
        algorithm, salt = draft.parts
        if not draft.writes_secrets:
            variable = f"COLUMN_SALT_{len(draft.envelope.get('column_hash', ())) + 1}"
            draft.variables[variable] = None
            salt = f"${{{variable}}}"
        if columns := _expressions(draft, value):
            found = {"columns": columns, "algorithm": algorithm, "salt": salt, "version": version}
            draft.envelope.setdefault("column_hash", []).append(found)

    return take


def _is_faulty(expression: str) -> bool:
    """Also what Java reads in another way, such as ``[a-z&&[^b]]``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(expression)
    except (re.error, FutureWarning):
        return True
    return False


def _plain(setting: str) -> Callable[[Draft, str], None]:
    def take(draft: Draft, value: str) -> None:
        draft.envelope[setting] = draft.text(value)

    return take


def _identity(_draft: Draft, _value: str) -> None:
    """Looked at by the tables of the document."""


def _unsigned(draft: Draft, value: str) -> None:
    known = value.strip().lower()
    if known not in ("long", "precise"):
        draft.refuse(f"{value[:40]!r} is no value that is known; one of long, precise")
    draft.envelope["bigint_unsigned_handling"] = known


PROPERTIES: tuple[Property, ...] = (
    Property("topic.prefix", "`envelope.topic_prefix`", elsewhere),
    Property("table.include.list", "`source.config.tables`: see above.", _identity),
    Property("table.exclude.list", "`source.config.tables`, with `!`: see above.", _identity),
    Property("database.include.list", "`source.config.tables`: see above.", _identity, MYSQL),
    Property("database.exclude.list", "`source.config.tables`, with `!`: see above.", _identity, MYSQL),
    Property("schema.include.list", "`source.config.tables`: see above.", _identity, POSTGRES),
    Property("schema.exclude.list", "`source.config.tables`, with `!`: see above.", _identity, POSTGRES),
    Property("column.include.list", "`envelope.column_include_list`", _listed("column_include_list")),
    Property("column.exclude.list", "`envelope.column_exclude_list`", _listed("column_exclude_list")),
    Property("column.truncate.to.<length>.chars", "`envelope.column_truncate`", _of_length("column_truncate")),
    Property("column.mask.with.<length>.chars", "`envelope.column_mask`", _of_length("column_mask")),
    Property("column.mask.hash.v2.<algorithm>.with.salt.<salt>", "`envelope.column_hash`", _hashed(2)),
    Property("column.mask.hash.<algorithm>.with.salt.<salt>", "`envelope.column_hash` of `version: 1`", _hashed(1)),
    Property(
        "column.propagate.source.type",
        "`envelope.column_propagate_source_type`",
        _listed("column_propagate_source_type"),
    ),
    Property(
        "datatype.propagate.source.type",
        "`envelope.datatype_propagate_source_type`",
        _listed("datatype_propagate_source_type"),
    ),
    Property("message.key.columns", "`envelope.message_key_columns`", _plain("message_key_columns")),
    Property("skipped.operations", "`envelope.skipped_operations`", _skipped),
    switch("skip.messages.without.change", "skip_messages_without_change"),
    switch("tombstones.on.delete", "tombstones_on_delete"),
    option("decimal.handling.mode", "decimal_handling", _same("precise", "string", "double")),
    option("time.precision.mode", "time_precision", _same(*_PRECISIONS)),
    Property(
        "bigint.unsigned.handling.mode",
        "`envelope.bigint_unsigned_handling`; `long`, Debezium's default, is written out, because it turns the upper "
        "half into negative numbers and is not our default.",
        _unsigned,
        MYSQL,
    ),
    option("binary.handling.mode", "binary_handling", _same("bytes", "base64", "base64-url-safe", "hex")),
    option("interval.handling.mode", "interval_handling", _same("numeric", "string"), kinds=POSTGRES),
    option("hstore.handling.mode", "hstore_handling", _same("json", "map"), kinds=POSTGRES),
    number(
        "money.fraction.digits",
        lambda draft, value: draft.envelope.update(money_fraction_digits=value),
        "`envelope.money_fraction_digits`",
        POSTGRES,
    ),
    switch("include.unknown.datatypes", "include_unknown_datatypes", kinds=POSTGRES),
    Property(
        "unavailable.value.placeholder",
        "`envelope.unavailable_value_placeholder`",
        _plain("unavailable_value_placeholder"),
    ),
    lost(
        "enable.time.adjuster",
        "a date is what the server has stored, which knows no years of two digits",
        "true",
        "false",
        kinds=MYSQL,
    ),
    lost("converters", "values are converted by type and the options of the envelope", ""),
    lost("post.processors", "nothing is read again to fill an event", ""),
    lost("reselector.<name>", "TOAST values come from the old row: `source.config.toast`"),
    option("schema.name.adjustment.mode", "schema_name_adjustment", _ADJUSTMENTS),
    option("field.name.adjustment.mode", "field_name_adjustment", _ADJUSTMENTS),
    switch("provide.transaction.metadata", "provide_transaction_metadata"),
    lost(
        "transaction.metadata.factory",
        "the block of transactions is Debezium's default one",
        "",
        "io.debezium.pipeline.txmetadata.defaulttransactionmetadatafactory",
    ),
    switch("include.schema.changes", "include_schema_changes", kinds=MYSQL),
    lost("include.schema.comments", "schema changes have no comments", "false"),
    switch("include.query", "include_query", kinds=MYSQL),
    lost(
        "sourceinfo.struct.maker",
        "the `source` block is that of the connector",
        "",
        "io.debezium.connector.mysql.mysqlsourceinfostructmaker",
        "io.debezium.connector.mariadb.mariadbsourceinfostructmaker",
        "io.debezium.connector.postgresql.postgressourceinfostructmaker",
    ),
    switch("extended.headers.enabled", "extended_headers", "on there, unless it is off; written out"),
    lost("xmin.fetch.interval.ms", "`xmin` is null", "0", kinds=POSTGRES),
    lost("topic.naming.strategy", _TOPICS, "", _STRATEGY),
    lost("topic.delimiter", _TOPICS, "."),
    lost("topic.transaction", "the topic of transactions is `<prefix>.transaction`", "transaction"),
    needless("topic.cache.size", "names of topics are kept for as long as their tables"),
    Property("heartbeat.topics.prefix", "`envelope.heartbeat_topics_prefix`", _plain("heartbeat_topics_prefix")),
)
