"""Rows that break the declaration of their table. Contract 05 section 6.

Works on row signatures: what a signature means is decided once, on a decoded row, and then only counted.
Rows straight from the log were decoded by their declaration, so only nulls and unknown kinds can be wrong
with them; a column may be missing, as the server may log partial images. Rows that a processor made or
changed are checked value by value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from deltaforge.core.event import RowImage
from deltaforge.core.json_text import encode_json
from deltaforge.core.table import TableSchema
from deltaforge.sensing.declared import KIND_NAMES, ColumnRule, rule_of
from deltaforge.sensing.drift_state import (
    JSON_STRUCTURE_CHANGE,
    MISSING_COLUMN,
    TYPE_MISMATCH,
    UNDECLARED_COLUMN,
    UNEXPECTED_NULL,
    VALUE_OUT_OF_RANGE,
    DriftRecord,
    TableDrift,
)
from deltaforge.sensing.encoding import encode_part
from deltaforge.sensing.sample import Sample
from deltaforge.sensing.sensor import Evolution
from deltaforge.sensing.structure import kind_of

MAX_EXAMPLES = 5
MAX_EXAMPLE_LENGTH = 100
MAX_VERDICTS = 1000
MAX_COLUMNS = 1000
"""Columns of a table with records: undeclared names can be without end."""


class Finding(NamedTuple):
    """One kind of drift in one column of a row."""

    column: str
    kind: str
    expected_type: str
    observed_type: str


class Drift(msgspec.Struct, frozen=True):
    """Drift that was seen for the first time, for the log."""

    table: str
    column: str
    kind: str
    expected_type: str
    observed_type: str


class _Verdict(NamedTuple):
    findings: tuple[Finding, ...]
    nulls: tuple[str, ...]


class _Declaration:
    """The rules of one version of a table, and what the signatures seen under it mean."""

    def __init__(self, schema: TableSchema) -> None:
        self.schema = schema
        self.rules = {column.name: rule_of(column) for column in schema.columns}
        self.verdicts: dict[int, _Verdict] = {}
        self._log_kinds = {name: rule.log_kinds() for name, rule in self.rules.items()}

    def verdict(self, image: RowImage) -> _Verdict:
        """What is wrong with every row from the log that has the signature of this one."""
        findings, nulls = list[Finding](), list[str]()
        for name, value in image.items():
            rule = self.rules.get(name)
            if rule is None:
                findings.append(_undeclared(name, value))
            elif value is None:
                if not rule.takes_null:
                    findings.append(_null(name))
                    nulls.append(name)
            elif kind_of(value) not in self._log_kinds[name]:
                findings.append(_mismatch(rule, value))
        return _Verdict(tuple(findings), tuple(nulls))

    def findings(self, image: RowImage, *, is_complete: bool) -> list[Finding]:
        """What is wrong with one row, its values looked at.

        Args:
            image: The row.
            is_complete: Whether a declared column must not be missing.
        """
        found = [finding for name, value in image.items() if (finding := self._check(name, value)) is not None]
        if is_complete and len(image) - len(found) < len(self.rules):
            missing = [rule.column for name, rule in self.rules.items() if name not in image]
            found += [Finding(column.name, MISSING_COLUMN, column.type, "missing") for column in missing]
        return found

    def _check(self, name: str, value: Any) -> Finding | None:
        rule = self.rules.get(name)
        if rule is None:
            return _undeclared(name, value)
        if value is None:
            return None if rule.takes_null else _null(name)
        if not rule.fits(value):
            return _mismatch(rule, value)
        if not rule.is_in_range(value):
            return Finding(name, VALUE_OUT_OF_RANGE, rule.column.type, _kind_name(value))
        return None


class PipelineDrift:
    """Drift detection of all tables of a pipeline.

    Args:
        states: What was saved, by table; changed in place.
    """

    def __init__(self, states: dict[str, TableDrift] | None = None) -> None:
        self._states = {} if states is None else states
        self._declarations: dict[str, _Declaration] = {}
        self._encoded: dict[str, msgspec.Raw] = {}

    def has_drift(self, table: str) -> bool:
        """Whether a table ever drifted."""
        known = self._states.get(table)
        return known is not None and bool(known.records)

    def encoded(self, tables: Iterable[str]) -> dict[str, msgspec.Raw]:
        """The states of some tables as bytes; those that did not change are not encoded again."""
        found = {}
        for table in tables:
            state = self._states.get(table)
            if state is not None:
                found[table] = self._encoded.get(table) or self._encoded.setdefault(table, encode_part(state))
        return found

    def forget(self, table: str) -> None:
        """The table is gone."""
        for known in (self._states, self._declarations, self._encoded):
            known.pop(table, None)

    def observe(
        self,
        table: str,
        schema: TableSchema,
        sample: Sample,
        evolutions: Sequence[Evolution] = (),
        *,
        checks_values: bool = False,
    ) -> list[Drift]:
        """Compare the sampled rows with the declaration they were written under.

        Args:
            table: Name of the table.
            schema: Its definition where the rows come from.
            sample: The rows.
            evolutions: What sensing made of the same sample.
            checks_values: Whether the rows did not come straight from the log.

        Returns:
            Kinds of drift that no column of the table had before, one entry for each.

        Raises:
            ProtocolError: A row cannot be decoded.
        """
        if not sample.sampled_count:
            return []
        self._encoded.pop(table, None)
        state = self._states.setdefault(table, TableDrift())
        observation = _Observation(table, state, sample)
        declaration = self._declaration(table, schema)
        if checks_values:
            observation.check_rows(declaration)
        else:
            observation.count_signatures(declaration)
        for evolution in evolutions:
            observation.note_evolution(declaration, evolution)
        state.events_analyzed += sample.sampled_count
        state.events_with_drift += observation.counted + len(observation.rows)
        return observation.first_seen

    def _declaration(self, table: str, schema: TableSchema) -> _Declaration:
        known = self._declarations.get(table)
        if known is None or (known.schema is not schema and known.schema != schema):
            known = self._declarations[table] = _Declaration(schema)
        return known


class _Observation:
    """One sample on its way into the state of its table.

    Attributes:
        counted: Rows with drift that were counted by their signature.
        rows: Other rows with drift.
    """

    def __init__(self, table: str, state: TableDrift, sample: Sample) -> None:
        self.first_seen: list[Drift] = []
        self.counted = 0
        self.rows: set[int] = set()
        self._table = table
        self._state = state
        self._sample = sample
        self._drifting: frozenset[int] = frozenset()

    def check_rows(self, declaration: _Declaration) -> None:
        """Look at every value of every row."""
        for row in range(self._sample.sampled_count):
            self._note_row(row, declaration.findings(self._sample.after(row), is_complete=True))

    def count_signatures(self, declaration: _Declaration) -> None:
        """Count what the signatures mean; decode a row of each that is new, and rows that make good examples."""
        verdicts, counts = declaration.verdicts, self._sample.signature_counts()
        if not counts.keys() <= verdicts.keys():
            self._learn(declaration)
        drifting = set[int]()
        for signature, count in counts.items():
            verdict = verdicts[signature]
            for name in verdict.nulls:
                self._count_null(name, count)
            if verdict.findings:
                drifting.add(signature)
                self.counted += count
                for finding in verdict.findings:
                    self._record(finding, count)
        self._drifting = frozenset(drifting)
        if drifting:
            self.rows = {row for row in self.rows if self._sample.signatures[row] not in drifting}
            self._add_examples(verdicts)

    def note_evolution(self, declaration: _Declaration, evolution: Evolution) -> None:
        """Count a changed shape as drift of its column, unless it is still being learned."""
        rule = declaration.rules.get(evolution.column)
        if rule is None or evolution.is_learning:
            return
        value = self._sample.after(evolution.row).get(evolution.column)
        finding = Finding(evolution.column, JSON_STRUCTURE_CHANGE, rule.column.type, _kind_name(value))
        record = self._record(finding, 1)
        if record is not None:
            _add_example(record, value)
        if self._sample.signatures[evolution.row] not in self._drifting:
            self.rows.add(evolution.row)

    def _learn(self, declaration: _Declaration) -> None:
        verdicts = declaration.verdicts
        if len(verdicts) >= MAX_VERDICTS:
            verdicts.clear()
        for row, signature in enumerate(self._sample.signatures):
            if signature in verdicts:
                continue
            image = self._sample.after(row)
            verdict = verdicts[signature] = declaration.verdict(image)
            found = declaration.findings(image, is_complete=False)
            self._note_row(row, [finding for finding in found if finding not in verdict.findings], counts_nulls=False)

    def _note_row(self, row: int, findings: list[Finding], *, counts_nulls: bool = True) -> None:
        if not findings:
            return
        image = self._sample.after(row)
        self.rows.add(row)
        for finding in findings:
            record = self._record(finding, 1)
            if record is not None and finding.column in image:
                _add_example(record, image[finding.column])
            if counts_nulls and finding.kind == UNEXPECTED_NULL:
                self._count_null(finding.column, 1)

    def _record(self, finding: Finding, count: int) -> DriftRecord | None:
        records, column = self._state.records, _clean(finding.column)
        kinds = records.get(column)
        if kinds is None:
            if len(records) >= MAX_COLUMNS:
                return None
            kinds = records[column] = {}
        record = kinds.get(finding.kind)
        if record is None:
            record = kinds[finding.kind] = DriftRecord(finding.expected_type)
            self.first_seen.append(Drift(self._table, *finding))
        record.expected_type = finding.expected_type
        record.count += count
        if finding.observed_type not in record.observed_types:
            record.observed_types.append(finding.observed_type)
        return record

    def _add_examples(self, verdicts: dict[int, _Verdict]) -> None:
        records = self._state.records
        for row, signature in enumerate(self._sample.signatures):
            for finding in verdicts[signature].findings:
                record = records.get(finding.column, {}).get(finding.kind)
                if record is not None and len(record.examples) < MAX_EXAMPLES:
                    _add_example(record, self._sample.after(row)[finding.column])

    def _count_null(self, name: str, count: int) -> None:
        nulls = self._state.null_counts
        nulls[name] = nulls.get(name, 0) + count


def _add_example(record: DriftRecord, value: Any) -> None:
    if len(record.examples) >= MAX_EXAMPLES:
        return
    try:
        text = encode_json(value).decode()
    except ValueError as error:  # repr() would fail with it: it is too deep, or has too many digits
        is_odd = isinstance(value, int | list | dict)
        text = f"[{_kind_name(value)}: {error}]" if is_odd else encode_json(_clean(repr(value))).decode()
    text = text[:MAX_EXAMPLE_LENGTH]
    if text not in record.examples:
        record.examples.append(text)


def _undeclared(name: str, value: Any) -> Finding:
    return Finding(name, UNDECLARED_COLUMN, "undeclared", _kind_name(value))


def _null(name: str) -> Finding:
    return Finding(name, UNEXPECTED_NULL, "NOT NULL", "NULL")


def _mismatch(rule: ColumnRule, value: Any) -> Finding:
    return Finding(rule.column.name, TYPE_MISMATCH, rule.column.type, _kind_name(value))


def _kind_name(value: Any) -> str:
    return KIND_NAMES.get(kind_of(value), "opaque")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
