"""An independent reader of the binary log, mysql-replication, as a judge of ours: its rows in the form of our events."""

import base64
import struct
from datetime import date, datetime, timedelta
from decimal import Decimal

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.constants import NONE_SOURCE
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from deltaforge.protocol.mysql.numbers import float_from_single
from deltaforge.protocol.mysql.types import Code

SERVER_ID = 4_100_000_001
TIMES = (Code.TIMESTAMP, Code.TIMESTAMP2)


def judged(database, position, events):
    """What the judge reads behind a position of the log: op and images, as many as there are events of ours.

    Args:
        database: Of the tables.
        position: Where ours began.
        events: Ours; they name the tables, the judge the columns.
    """
    server = database.server
    settings = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    stream = BinLogStreamReader(
        connection_settings=settings, server_id=SERVER_ID, log_file=position.file, log_pos=position.pos,
        resume_stream=True, blocking=False, only_schemas=[database.name],
        only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent], enable_logging=False,
    )  # fmt: skip
    try:
        found = [row for event in stream for row in _rows(event)]
    finally:
        stream.close()
    assert len(found) == len(events), f"the judge has {len(found)} rows, we have {len(events)}"
    return found


def _rows(event):
    columns = {column.name: column for column in event.columns}
    for row in event.rows:
        before, after = (_image(row, prefix, columns) for prefix in ("before_", "after_"))
        if isinstance(event, WriteRowsEvent):
            yield "c", None, _image(row, "", columns)
        elif isinstance(event, DeleteRowsEvent):
            yield "d", _image(row, "", columns), None
        else:
            yield "u", before, after


def _image(row, prefix, columns):
    values, sources = row.get(f"{prefix}values", {}), row.get(f"{prefix}none_sources", {})
    empty_set = NONE_SOURCE.EMPTY_SET
    return {
        name: "" if value is None and sources.get(name) == empty_set else _value(value, columns[name])
        for name, value in values.items()
    }


def assert_judged(ours, judges):
    """Rows of ours are those of the judge; names the first columns that differ."""
    for number, (mine, its) in enumerate(zip(ours, judges, strict=True)):
        assert mine[0] == its[0], f"row {number} is {mine[0]}, the judge says {its[0]}"
        for my_image, its_image in zip(mine[1:], its[1:], strict=True):
            mine_only, its_only = (dict(image or {}) for image in (my_image, its_image))
            assert list(mine_only) == list(its_only), number
            differing = {
                name: (value, its_only[name])
                for name, value in mine_only.items()
                if value != its_only[name] or type(value) is not type(its_only[name])
            }
            assert not differing, (number, differing)
            assert (my_image is None) == (its_image is None), number


def _value(value, column):
    """A value of the judge as contract and docs/types/mysql.md want it."""
    code = column.type
    if value is None:
        return None
    if code == Code.FLOAT:
        return float_from_single(struct.pack("<f", value), 0)
    if code == Code.BIT:
        return int(value, 2)
    if code == Code.JSON:
        return _json(value)
    if code == Code.GEOMETRY:
        return _bytes(value[4:]) | {"srid": int.from_bytes(value[:4], "little")}
    if isinstance(value, set):
        return ",".join(label for label in column.set_values if label in value)
    if isinstance(value, bytes):
        return _bytes(value.ljust(column.max_length, b"\0") if code == Code.STRING else value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + ("Z" if code in TIMES else "")
    if isinstance(value, timedelta):
        return time_text(value)
    return str(value) if isinstance(value, date | Decimal) else value


def _json(value):
    """A document; its texts are bytes, its decimals and times objects."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {_json(key): _json(item) for key, item in value.items()}
    return [_json(item) for item in value] if isinstance(value, list) else value


def _bytes(raw):
    return {"_base64": base64.b64encode(raw).decode()}


def time_text(value):
    """A time as MySQL prints it, with six fraction digits."""
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    seconds = value.days * 86_400 + value.seconds
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{value.microseconds:06d}"
