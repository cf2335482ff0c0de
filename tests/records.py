"""Records of rows, for tests: plans with every form of a table's columns, and what Python and the kernel make of them."""

import functools

import msgspec

from deltaforge.core.json_text import encode_json
from deltaforge.kernel import compiled as kernel
from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.plan import Bytes, Fact, FactStep, IfTransaction, ImageStep, PlannedColumn, RecordPlan
from deltaforge.records.taking import messages_of
from deltaforge.records.types.columns import cdc_column, record_column
from deltaforge.records.types.options import CdcModes, ConnectOptions
from deltaforge.records.writers import AvroWriter, JsonWriter

NOW_NS = 1_700_000_000_123_456_789
OPTIONS = (
    ConnectOptions(include_unknown_datatypes=True, hstore_handling="map"),
    CdcModes(),
    ConnectOptions("string", "isostring", "long", "hex", "string", "json"),
    ConnectOptions("double", "nanoseconds", "precise", "base64-url-safe"),
    CdcModes("long", "enum", "timestamp"),
    ConnectOptions("precise", "connect", "long", "base64"),
)
TREATED = (
    Conversion(Form.HASH, labels=("SHA-256", "s\u00e4lt")),
    Conversion(Form.CUT_TEXT, size=3),
    Conversion(Form.MASK, labels=("***",)),
    Conversion(Form.HASH, scale=1, size=20, labels=("MD5", "")),
)
CUT_BYTES = (Conversion(Form.CUT_BYTES, size=2),)
TEXT_FORMS = (
    Form.TEXT, Form.JSON_TEXT, Form.ZONED_TEXT, Form.BASE64, Form.BASE64_URL, Form.HEX, Form.ISO_DATE, Form.ISO_TIME,
    Form.ISO_STAMP, Form.ISO_INTERVAL, Form.ZONED_TIME, Form.NUMBER_TEXT, Form.MONEY_TEXT, Form.UUID_TEXT,
)  # fmt: skip
TEXTS = (
    Fact.OP, Fact.SNAPSHOT, Fact.GTID, Fact.BINLOG_FILE, Fact.QUERY, Fact.COMMIT_LSN_TEXT, Fact.SEQUENCE,
    Fact.TRANSACTION_ID, Fact.EVENT_ID, Fact.NATIVE_TRANSACTION_ID,
)  # fmt: skip
FACTS = {fact: Form.TEXT if fact in TEXTS or fact is Fact.BINLOG_END else Form.INTEGER for fact in Fact}
"""All of them; one number as text."""

_WRITERS = {"json": JsonWriter(), "avro": AvroWriter()}


@functools.lru_cache(maxsize=4096)
def plan_of(schema, connector, writer, options, *, splits_key_changes=True):
    """A plan with all columns that these options know, all facts, and a key if there is one."""
    columns = []
    for place, column in enumerate(schema.columns):
        planned = _planned(place, column, connector, writer, options, is_first=not columns)
        if planned is not None:
            columns.append(planned)
    names = {column.column: column for column in columns}
    key = [_unnamed(names[name], is_first=not n) for n, name in enumerate(schema.primary_key) if name in names]
    steps = [Bytes(b'{"x":0'), *(_fact(fact, form, writer) for fact, form in FACTS.items())]
    own = tuple(column._replace(missing=b"null" if writer == "json" else b"\x00") for column in columns[::2])
    if own and writer == "json":
        own = (own[0]._replace(name=own[0].name.lstrip(b",")), *own[1:])
    steps += [
        ImageStep(True, b',"before":{', b"}", b',"before":null', own),
        IfTransaction((Bytes(b"["), _fact(Fact.TOTAL_ORDER, Form.INTEGER, writer), Bytes(b"]")), b"@"),
        ImageStep(False, b',"after":{', b"}", b',"after":null'),
        Bytes(b"}"),
    ]
    return RecordPlan(writer, tuple(steps), tuple(columns), tuple(key) or None, b"<", b">", True, splits_key_changes)


def _fact(fact, form, writer):
    if writer == "json":
        return FactStep(fact, form, f',"{fact.name}":'.encode(), b"", b" ")
    return FactStep(fact, form, b"\x02", b"\x00", b"")


def _planned(place, column, connector, writer, options, *, is_first):
    make = record_column if isinstance(options, ConnectOptions) else cdc_column
    made = make(connector, column, options)
    if made is None:
        return None
    conversion, fallback = made.conversion, made.fallback
    name = (b"" if is_first else b",") + encode_json(column.name) + b":" if writer == "json" else b""
    if writer == "json":
        null, prefix = b"null", b""
    elif fallback is None:
        null, prefix = b"\x00", b"\x02"
    else:
        null, prefix = b"\x7f", b""
    unavailable = _WRITERS[writer].value(Conversion(Form.TEXT), "unavailable") if conversion.form is Form.TEXT else b""
    return PlannedColumn(place, column.name, conversion, name, prefix, null, null, unavailable)


def treated(plan, skips):
    """The plan with every second column masked, hashed or cut, and without messages of some rows."""
    columns = tuple(_treated(column, number) for number, column in enumerate(plan.columns))
    steps = tuple(step._replace(columns=None) if isinstance(step, ImageStep) else step for step in plan.value)
    ops = (frozenset("u"), frozenset("cd"), frozenset())[skips % 3]
    return plan._replace(columns=columns, value=steps, skipped_ops=ops, skips_unchanged=not ops)


def _treated(column, number):
    form = column.conversion.form
    ways = TREATED if form in TEXT_FORMS else CUT_BYTES if form is Form.BYTES else ()
    if number % 2 or not ways:
        return column
    conversion = msgspec.structs.replace(ways[number // 2 % len(ways)], items=column.conversion)
    return column._replace(conversion=conversion)


def _unnamed(column, *, is_first):
    return column._replace(name=column.name.lstrip(b",") if is_first else b"," + column.name.lstrip(b","))


def by_python(plan, events, errors=ValueError):
    """The messages of each event, or the error."""
    return [_messages(plan, event, errors) for event in events]


def by_kernel(groups, plan, python_events, errors=ValueError):
    """The same by the kernel, and how many rows it left to Python; ``python_events``: those of the groups, for these."""
    values, at, row = kernel.EncodedEvents(), 0, 0
    programs, found, places, left = {}, [], [], 0

    def program_of(group):
        if group.table not in programs:
            programs[group.table] = kernel.RecordProgram(plan, group.table.plan)
        return programs[group.table]

    while True:
        start = at, row
        at, row = values.extend_records(groups, at, row, program_of, NOW_NS)
        taken = sum(group.event_count for group in groups[start[0] : at]) + row - start[1]
        places += range(len(found), len(found) + taken)
        found += [[] for _ in range(taken)]
        if at == len(groups):
            break
        is_row = isinstance(groups[at], kernel.RowGroup)
        events = [python_events[len(found)]] if is_row else groups[at].events()
        found += by_python(plan, events, errors)
        left += len(events)
        at, row = (at, row + 1) if is_row else (at + 1, 0)
    for index in range(len(values)):
        message = values.key(index), values[index], values.headers(index)
        found[places[values.event_of(index)]].append(message)
    return found, left


def _messages(plan, event, errors):
    try:
        return [tuple(message) for message in messages_of(plan, event, NOW_NS)]
    except errors as error:
        return f"{type(error).__name__}: {error}"


def assert_records_alike(groups, events, connector):
    """The kernel's records of groups of one table are those of Python, with some of the options; how many rows it left to
    Python with each plan.
    """
    left = {}
    for number, options in enumerate(OPTIONS[len(events) % 3 :: 3]):
        for writer in ("json", "avro"):
            plan = plan_of(groups[0].table.schema, connector, writer, options)
            expected = by_python(plan, events)
            found, left[number, writer] = by_kernel(groups, plan, events)
            for got, wanted in zip(found, expected, strict=True):
                assert got == wanted, (options, writer)
    plan = treated(plan, len(events))
    found, left["treated"] = by_kernel(groups, plan, events)
    assert found == by_python(plan, events)
    return left
