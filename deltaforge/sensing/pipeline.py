"""Sensing of all tables of a pipeline: which keys there are, and what their sensors know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from deltaforge.config.patterns import TablePatterns
from deltaforge.core.resume import SinkProgress
from deltaforge.sensing.drift import PipelineDrift
from deltaforge.sensing.encoding import encode_part
from deltaforge.sensing.sample import WHOLE_ROW, Sample
from deltaforge.sensing.sensor import Evolution, KeyState, Sensor
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sensing.state import SensingState, TableState, encode_parts, shard_of

MAX_TABLES = 10_000
"""So many tables are known; one more, and the one that nothing was read of for longest is forgotten."""


class PipelineSensing:
    """The sensors of a pipeline, and its drift detection.

    Not for several threads. The caller samples rows with ``seen(table)``, the warm-up and rate of the settings,
    and asks for the columns that :meth:`asked` names.

    Args:
        settings: Of the document.
        state: What was saved; None for a new pipeline.

    Attributes:
        drift: Compares rows with their declaration; its state is saved with the tables.
        progress: Which events were observed; kept for the caller.
    """

    def __init__(self, settings: SchemaSensing, state: SensingState | None = None) -> None:
        state = state or SensingState()
        self.settings = settings
        self.progress = state.progress
        self._log = state.log
        self.drift = PipelineDrift(state.drift)
        self._tables = state.tables
        self._sensors = {
            table: {column: Sensor(table, column, settings, key) for column, key in known.keys.items()}
            for table, known in state.tables.items()
        }
        self._shards: defaultdict[int, dict[str, None]] = defaultdict(dict)
        for table in (*state.tables, *state.drift):
            self._shards[shard_of(table)][table] = None
        self._asked: dict[tuple[str, str, tuple[str, ...]], tuple[str, ...]] = {}
        self._encoded: dict[str, msgspec.Raw] = {}

    def shard_bytes(self, shard: int) -> bytes:
        """The state of the tables of one shard. Tables that did not change are not encoded again."""
        return self._bytes(None, self._shards[shard])

    def pipeline_bytes(self, saved_shards: Container[int] = ()) -> bytes:
        """What is known beside the tables of the shards that are saved by themselves."""
        others = [table for shard, tables in self._shards.items() if shard not in saved_shards for table in tables]
        return self._bytes(self.progress, others)

    def _bytes(self, progress: SinkProgress | None, tables: Iterable[str]) -> bytes:
        for table in tables:
            if table not in self._encoded and table in self._tables:
                self._encoded[table] = encode_part(self._tables[table])
        encoded = {table: self._encoded[table] for table in tables if table in self._encoded}
        return encode_parts(progress, encoded, self.drift.encoded(tables), self._log)

    def name_of(self, qualifier: str, table: str) -> str:
        """What a table is called here: its bare name, or ``qualifier.table`` if a table of another database or
        schema had that name first.
        """
        known = self._tables.get(table) or self._added(table, qualifier)
        return table if known.qualifier == qualifier else f"{qualifier}.{table}"

    def keys(self) -> Iterator[KeyState]:
        """What the sensors of all keys know."""
        for state in self._tables.values():
            yield from state.keys.values()

    def tables(self) -> list[str]:
        """Every table that is known."""
        return list(self._tables)

    def seen(self, table: str) -> int:
        """Rows with an ``after`` image in all samples of a table so far."""
        known = self._tables.get(table)
        return 0 if known is None else known.row_count

    def asked(self, table: str, json_columns: Sequence[str] | None, *, qualifier: str = "") -> tuple[str, ...]:
        """The columns to sense of a table; empty if there is nothing to sense.

        Args:
            table: Its name.
            json_columns: Its columns with JSON in them; None for rows without a known table definition,
                which are sensed whole.
            qualifier: Its database or schema, for patterns that name one.
        """
        key = (qualifier, table, (WHOLE_ROW,) if json_columns is None else tuple(json_columns))
        found = self._asked.get(key)
        if found is None:
            found = self._asked[key] = self._selected(*key)
        return found

    def observe(self, table: str, columns: Sequence[str], sample: Sample, now: datetime) -> list[Evolution]:
        """Take in a sample.

        Args:
            table: Name of the table.
            columns: Those that the sample was made with, as :meth:`asked` gave them.
            sample: Rows that follow those of the samples before.
            now: For first and last seen, in UTC.

        Returns:
            The shapes that changed after they were first learned, in order.

        Raises:
            ProtocolError: A row cannot be decoded.
        """
        self._encoded.pop(table, None)
        state = self._tables.pop(table, None) or self._added(table, "")
        self._tables[table] = state  # the last of them: see MAX_TABLES
        state.row_count += sample.row_count
        evolutions = list[Evolution]()
        for index, column in enumerate(columns):
            evolutions += self._sensor(table, column).observe(sample, index, now)
        return evolutions

    def version(self, table: str, column: str = WHOLE_ROW) -> tuple[str, int] | None:
        """Fingerprint and sequence of a key's shape; None before the first."""
        sensor = self._sensors.get(table, {}).get(column)
        return (
            None if sensor is None or not sensor.state.sequence else (sensor.state.fingerprint, sensor.state.sequence)
        )

    def cache_counts(self, table: str) -> tuple[int, int]:
        """Hits and misses of the structure caches of a table since the pipeline was created."""
        states = [sensor.state for sensor in self._sensors.get(table, {}).values()]
        return sum(state.cache_hits for state in states), sum(state.cache_misses for state in states)

    def _added(self, table: str, qualifier: str) -> TableState:
        if len(self._tables) >= MAX_TABLES:
            self._forget(next(iter(self._tables)))
        self._shards[shard_of(table)][table] = None
        state = self._tables[table] = TableState(qualifier=qualifier)
        return state

    def _forget(self, table: str) -> None:
        for known in (self._tables, self._sensors, self._encoded, self._shards[shard_of(table)]):
            known.pop(table, None)
        self.drift.forget(table)

    def _sensor(self, table: str, column: str) -> Sensor:
        sensors = self._sensors.setdefault(table, {})
        sensor = sensors.get(column)
        if sensor is None:
            sensor = sensors[column] = Sensor(table, column, self.settings)
            self._tables[table].keys[column] = sensor.state
        return sensor

    def _selected(self, qualifier: str, table: str, columns: tuple[str, ...]) -> tuple[str, ...]:
        settings = self.settings
        if not settings.enabled or not _takes(settings.tables.include, settings.tables.exclude, qualifier, table):
            return ()
        if columns == (WHOLE_ROW,):
            return columns
        inspect = settings.deep_inspect
        if not inspect.enabled:
            return ()
        return tuple(name for name in columns if _takes(inspect.columns.include, inspect.columns.exclude, "", name))


def _takes(include: Sequence[str], exclude: Sequence[str], qualifier: str, name: str) -> bool:
    """Whether a name is included and not excluded; an empty ``include`` is everything."""
    if exclude and TablePatterns(exclude).matches(qualifier, name):
        return False
    return TablePatterns(include).matches(qualifier, name)
