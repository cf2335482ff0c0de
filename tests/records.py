"""Records of rows, for tests: plans with every form of a table's columns, and what Python and the kernel make of them."""

import functools

from deltaforge.core.errors import RecordError
from deltaforge.core.json_text import encode_json
from deltaforge.kernel import compiled as kernel
from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.plan import Bytes, Fact, FactStep, ImageStep, PlannedColumn, RecordPlan
from deltaforge.records.taking import UnplannedError, key_of, value_of
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
FACTS = {
    Fact.OP: Form.TEXT, Fact.TS_MS: Form.INTEGER, Fact.SNAPSHOT: Form.TEXT, Fact.SERVER_ID: Form.INTEGER,
    Fact.GTID: Form.TEXT, Fact.BINLOG_FILE: Form.TEXT, Fact.BINLOG_END: Form.TEXT, Fact.BINLOG_ROW: Form.INTEGER,
    Fact.TX_ID: Form.INTEGER, Fact.COMMIT_LSN_TEXT: Form.TEXT, Fact.EVENT_ID: Form.TEXT,
    Fact.NATIVE_TRANSACTION_ID: Form.TEXT,
}  # fmt: skip
"""That both know of every row."""

_WRITERS = {"json": JsonWriter(), "avro": AvroWriter()}


@functools.lru_cache(maxsize=4096)
def plan_of(schema, connector, writer, options, *, splits_key_changes=False):
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
        ImageStep(False, b',"after":{', b"}", b',"after":null'),
        Bytes(b"}"),
    ]
    return RecordPlan(
        writer, tuple(steps), tuple(columns), tuple(key) or None, b"<", b">", splits_key_changes=splits_key_changes
    )


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


def _unnamed(column, *, is_first):
    return column._replace(name=column.name.lstrip(b",") if is_first else b"," + column.name.lstrip(b","))


def by_python(plan, events):
    """Values with keys, or errors."""
    return [_record(plan, event) for event in events]


def by_kernel(groups, plan, python_events):
    """The same by the kernel, and how many rows it left to Python; ``python_events``: those of the groups, for these."""
    values, at, row, left = kernel.EncodedEvents(), 0, 0, 0
    programs = {}
    firsts = [0]
    for group in groups:
        firsts.append(firsts[-1] + group.event_count)

    def program_of(table):
        if table not in programs:
            programs[table] = kernel.RecordProgram(plan, table.plan)
        return programs[table]

    found = []
    while True:
        at, row = values.extend_records(groups, at, row, program_of, NOW_NS)
        while len(found) < firsts[min(at, len(groups))] + row:
            index = len(found) - left
            found.append((values[index], values.key(index) if plan.key is not None else None))
        if at == len(groups):
            return found, left
        events = python_events[len(found) :][:1] if isinstance(groups[at], kernel.RowGroup) else groups[at].events()
        found += by_python(plan, events)
        left += len(events)
        row += 1
        if row >= groups[at].event_count or not isinstance(groups[at], kernel.RowGroup):
            at, row = at + 1, 0


def _record(plan, event):
    try:
        return value_of(plan, event), key_of(plan, event.after if event.after is not None else event.before)
    except (ValueError, OverflowError, UnplannedError, RecordError) as error:
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
    return left
