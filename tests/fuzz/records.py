"""Records of random rows, with plans of forms that mostly go with the columns."""

import random
from typing import Any

from deltaforge.core.errors import DeltaForgeError
from deltaforge.kernel import compiled as kernel
from deltaforge.protocol.postgres.values import kernel_type
from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.plan import Bytes, Fact, FactStep, IfTransaction, ImageStep, PlannedColumn, RecordPlan
from tests import records

NUMBERS = (Form.INTEGER, Form.DECIMAL, Form.NUMBER_TEXT, Form.WRAPPED_INTEGER, Form.BIT, Form.BITS)
FLOATS = (Form.SINGLE, Form.DOUBLE)
DIGITS = (Form.DECIMAL, Form.VARIABLE_DECIMAL, Form.TEXT, Form.DOUBLE)
TIMES = (
    Form.DAYS, Form.MILLIS, Form.MICROS, Form.NANOS, Form.DAY_MILLIS, Form.DAY_MICROS, Form.ZONED_TEXT, Form.ISO_DATE,
    Form.ISO_TIME, Form.ISO_STAMP, Form.TEXT,
)  # fmt: skip
TEXTS = (Form.TEXT, Form.TEXT_BYTES, Form.JSON_TEXT)
BINARIES = (Form.BYTES, Form.BASE64, Form.BASE64_URL, Form.HEX, Form.GEOMETRY, Form.POINT, Form.JSON_TEXT)
MASKS = (Form.MASK, Form.HASH, Form.CUT_TEXT, Form.CUT_BYTES)
HASHES = ("MD5", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512", "SHA3-256", "no hash")
PARTS = (
    Form.MAP,
    Form.ARRAY,
    Form.MONEY,
    Form.ZONED_TIME,
    Form.ZONED_TIME,
    Form.JSON_TEXT,
    Form.POINT,
    Form.INTERVAL_MICROS,
    *DIGITS,
)
BY_NAME = {
    "tiny": NUMBERS, "short": NUMBERS, "int": NUMBERS, "long": NUMBERS, "year": NUMBERS, "bit": NUMBERS, "float": FLOATS,
    "double": FLOATS, "newdecimal": DIGITS, "date": TIMES, "time": TIMES, "blob": BINARIES, "geometry": BINARIES,
    "bytea": BINARIES, "bool": (Form.BOOLEAN,), "oid": NUMBERS, "xid": NUMBERS, "text": (*TEXTS, *PARTS, *TIMES),
    "vector": PARTS, "hstore": PARTS,
}  # fmt: skip
"""By what the name of a type begins or ends with."""
PLAN_FIELDS = RecordPlan._fields
SIZES = (-1, 0, 0, 0, 1, 2, 8, 9, 40, 1000, 5000)


def plan_of(rnd: random.Random, table: Any) -> RecordPlan:
    """A plan for a captured table, of a few of its columns."""
    writer = rnd.choice(("json", "avro"))
    names = [column.name for column in table.schema.columns]
    columns = [_column(rnd, table, name) for name in rnd.sample(names, min(len(names), rnd.randint(1, 4)))]
    key = tuple(rnd.sample(columns, rnd.randint(0, len(columns)))) if rnd.random() < 0.7 else None
    own = tuple(columns[::-1]) if rnd.random() < 0.3 else None
    images = [ImageStep(True, b"{", b"}", b"-", own), ImageStep(False, b"{", b"}", b"-")]
    facts = [FactStep(fact, form, b"+", b"0", b"s") for fact, form in records.FACTS.items() if rnd.random() < 0.3]
    order = FactStep(Fact.TOTAL_ORDER, Form.INTEGER)
    steps = [Bytes(b"x"), *images[: rnd.randint(0, 2)], *facts, IfTransaction((order,), b"@")]
    rnd.shuffle(steps)
    flags = rnd.random() < 0.5, rnd.random() < 0.3
    skipped = frozenset(op for op in "cudrt" if rnd.random() < 0.1)
    plan = RecordPlan(writer, tuple(steps), tuple(columns), key, b"<", b">", *flags)
    return plan._replace(skipped_ops=skipped, skips_unchanged=rnd.random() < 0.2)


def _column(rnd: random.Random, table: Any, name: str) -> PlannedColumn:
    texts = [rnd.choice((b"", b"n", b"null", b"null")) for _ in range(5)]
    named = name if rnd.random() < 0.95 else "no such column"
    return PlannedColumn(0, named, _conversion(rnd, _forms(rnd, table, name), 0), *texts)


def _forms(rnd: random.Random, table: Any, name: str) -> tuple[Form, ...]:
    """That go with a column."""
    if rnd.random() < 0.1:
        return tuple(Form)
    if hasattr(table, "relation"):
        oid = next(column.type_oid for column in table.relation.columns if column.name == name)
        kind, is_array, _ = kernel_type(oid, table.types)
        if is_array and rnd.random() < 0.8:
            return (Form.ARRAY,)
    else:
        kind = dict(table.columns)[name].code.name.lower()
    return next(
        (forms for part, forms in BY_NAME.items() if kind.startswith(part) or kind.endswith(part)), (*TEXTS, *BINARIES)
    )


def _conversion(rnd: random.Random, forms: tuple[Form, ...], depth: int) -> Conversion:
    items = None
    if depth < 2 and rnd.random() < 0.9:
        items = _conversion(rnd, rnd.choice((NUMBERS, FLOATS, DIGITS, TEXTS, BINARIES, (Form.BOOLEAN,))), depth + 1)
    size = rnd.choice(SIZES)
    if depth == 0 and rnd.random() < 0.2:
        inner = _conversion(rnd, forms, 1)
        labels = (rnd.choice(HASHES), rnd.choice(("", "salt", "s\u00e4lt"))) if rnd.random() < 0.9 else ("***",)
        return Conversion(rnd.choice(MASKS), rnd.randint(0, 1), max(size, 0), inner, labels)
    return Conversion(rnd.choice(forms), rnd.choice(SIZES), max(size, 0), items)


def taken(group: Any, rnd: random.Random) -> bool:
    """Encode a group by the kernel alone; whether it took all of it."""
    program = kernel.RecordProgram(plan_of(rnd, group.table), group.table.plan)
    return kernel.EncodedEvents().extend_records([group], 0, 0, lambda _: program, rnd.getrandbits(62))[0] == 1


def compared(case: Any, rnd: random.Random) -> int | None:
    """How many rows the kernel took of those of a case; None if its records are not those of Python."""
    plan = plan_of(rnd, case.table)
    try:
        groups = case.row_groups()
        events = [event for group in groups for event in group.events()]
    except DeltaForgeError:  # nothing can decode them
        return 0
    found, left = records.by_kernel(groups, plan, events, errors=Exception)
    return len(events) - left if found == records.by_python(plan, events, errors=Exception) else None
