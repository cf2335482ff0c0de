"""Properties of the copy of rows that are there before the log is read."""

from __future__ import annotations

from deltaforge.debezium.draft import Draft
from deltaforge.debezium.properties import MYSQL, POSTGRES, Property, lost, needless, number

_MODES = {
    "initial": "initial",
    "always": "always",
    "no_data": "never",
    "schema_only": "never",
    "never": "never",
    "recovery": "never",
    "schema_only_recovery": "never",
}
_LOST_MODES = {
    "initial_only": (
        "initial",
        "a pipeline goes on with the log; stop it when `deltaforge snapshot` says that it is done",
    ),
    "when_needed": (
        "initial",
        "a position that is lost stops the pipeline; `deltaforge checkpoints --reset earliest --snapshot` copies again",
    ),
}
_LOCKS = "copies take no locks: see docs/snapshots.md"
_CONFIGURED = "snapshot.mode.configuration.based."
_NO_SIGNALS = "nothing is written to the source while tables are copied, and the log goes on"


def _mode(draft: Draft, value: str) -> None:
    mode = value.strip().lower()
    if mode == "configuration_based":
        _configured(draft)
    elif mode in _MODES:
        draft.source["snapshot"] = {"mode": _MODES[mode]}
    elif mode in _LOST_MODES:
        ours, reason = _LOST_MODES[mode]
        draft.source["snapshot"] = {"mode": ours}
        draft.refuse(reason)
    else:
        draft.refuse("code of your own does not run here; one of initial, always, never")


def _configured(draft: Draft) -> None:
    def is_on(name: str) -> bool:
        return draft.config.get(_CONFIGURED + name, "false").strip().lower() == "true"

    draft.source["snapshot"] = {"mode": "initial" if is_on("snapshot.data") else "never"}
    if not is_on("start.stream"):
        draft.refuse("a pipeline goes on with the log", _CONFIGURED + "start.stream")
    if is_on("snapshot.on.data.error"):
        draft.refuse("a position that is lost stops the pipeline", _CONFIGURED + "snapshot.on.data.error")


def _threads(draft: Draft, value: int) -> None:
    draft.source.setdefault("snapshot", {"mode": "initial"})["max_parallel_tables"] = max(value, 1)


def _seen_with_the_mode(_draft: Draft, _value: str) -> None:
    """Taken by the mode."""


PROPERTIES: tuple[Property, ...] = (
    Property(
        "snapshot.mode",
        "`source.config.snapshot.mode`: `initial` and `always` as they are; `no_data`, `schema_only`, `never` and the "
        "modes of recovery are `never`. `initial_only`, `when_needed` and `custom` have no equal.",
        _mode,
    ),
    *(
        Property(f"{_CONFIGURED}{name}", "Taken together with `snapshot.mode`.", _seen_with_the_mode)
        for name in (
            "snapshot.data",
            "snapshot.schema",
            "start.stream",
            "snapshot.on.schema.error",
            "snapshot.on.data.error",
        )
    ),
    lost("snapshot.mode.custom.name", "code of your own does not run here", ""),
    lost(
        "snapshot.include.collection.list",
        "the first copy is of all tables that are captured; take mode never, and "
        "copy some with `deltaforge snapshot NAME --table …`",
        "",
    ),
    lost("snapshot.select.statement.overrides", "take mode never, and copy with `deltaforge snapshot … --where`", ""),
    lost(
        "snapshot.select.statement.overrides.<table>", "take mode never, and copy with `deltaforge snapshot … --where`"
    ),
    lost("snapshot.query.mode", "copies read all captured columns", "select_all"),
    lost("snapshot.query.mode.custom.name", "copies read all captured columns", ""),
    number("snapshot.max.threads", _threads, "`source.config.snapshot.max_parallel_tables`"),
    needless("snapshot.max.threads.multiplier", "a table is split where `intra_table_parallel` says so"),
    needless("legacy.snapshot.max.threads", "a table is split where `intra_table_parallel` says so"),
    needless("internal.legacy.snapshot.max.threads", "a table is split where `intra_table_parallel` says so"),
    needless("snapshot.fetch.size", "`source.config.snapshot.chunk_size` bounds a read"),
    needless("min.row.count.to.stream.results", "results are always read as a stream", MYSQL),
    needless("snapshot.delay.ms", "a copy begins with the pipeline"),
    needless("snapshot.locking.mode", _LOCKS),
    needless("snapshot.locking.mode.custom.name", _LOCKS),
    needless("snapshot.lock.timeout.ms", _LOCKS),
    needless("snapshot.isolation.mode", _LOCKS, POSTGRES),
    needless("snapshot.tables.order.by.row.count", "tables are copied side by side"),
    needless("internal.snapshot.scan.all.columns.force", "only captured tables are looked at"),
    needless("incremental.snapshot.chunk.size", "`source.config.snapshot.chunk_size` bounds a read"),
    needless("incremental.snapshot.allow.schema.changes", "a table that changes is planned again"),
    needless("incremental.snapshot.watermarking.strategy", _NO_SIGNALS),
)
