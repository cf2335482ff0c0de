"""Registered table definitions of pipelines, for people: from the storage, also when nothing runs. Contract 01, 2.4."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from deltaforge.checkpoint.identity import FailoverLog
from deltaforge.checkpoint.takeover import TakeOvers
from deltaforge.control.learned import learned_storage
from deltaforge.control.options import ServeOptions
from deltaforge.control.shards import said_of, shard_asked, shards_asked, shards_of
from deltaforge.core.errors import CheckpointError, ControlError, NotFoundError
from deltaforge.core.table import Column, TableSchema
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.schema.registry import SchemaRegistry, TableName
from deltaforge.schema.tenants import forget
from deltaforge.schema.versions import SchemaVersion
from deltaforge.storage.base import Storage

if TYPE_CHECKING:
    from deltaforge.control.pipeline import Pipeline

log = logging.getLogger(__name__)

_WORD = re.compile(r"\w*")
_ARGUMENTS = re.compile(r"\s*\([^)]*\)")
Known = list[tuple[str, SchemaVersion]]
"""Versions of one table, each with its shard."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class SourceSchemas:
    """Shows what is registered, and has running pipelines read their catalogs again.

    Args:
        storage: Of the control plane.
        options: Of the control plane.
        get: Finds a pipeline by its name, or raises :class:`PipelineNotFoundError`.
    """

    def __init__(self, storage: Storage, options: ServeOptions, get: Callable[[str], Pipeline]) -> None:
        self._storage = storage
        self._options = options
        self._get = get

    async def tables(self, name: str, shard: str | None = None) -> list[dict[str, Any]]:
        """Every table of a pipeline of which something is known; with shards: as the first that has it knows it, and
        which have it, unless one is named.
        """
        registries = await self._registries(name, shard)
        found = sorted({table for registry in registries.values() for table in registry.tables})
        return [{**_summary(versions[0][1]), **_known_by(versions)} for versions in _newest(registries, found)]

    async def detail(self, name: str, database: str, table: str, shard: str | None = None) -> dict[str, Any]:
        """The columns of one table, of the first shard that has it.

        Raises:
            NotFoundError: Nothing is known of it.
        """
        for versions in _newest(await self._registries(name, shard), [(database, table)]):
            return {**_detail(versions[0][1]), **_known_by(versions)}
        raise NotFoundError(f"pipeline {name} has no schema of table {database}.{table}")

    async def versions(self, name: str, database: str, table: str, shard: str | None = None) -> list[dict[str, Any]]:
        """Every version of one table, the first one first, shard by shard.

        Raises:
            NotFoundError: Nothing is known of it.
        """
        registries = await self._registries(name, shard)
        found = [(known, each) for known, reg in registries.items() for each in reg.versions((database, table))]
        if not found:
            raise NotFoundError(f"pipeline {name} has no schema of table {database}.{table}")
        return [{**_version(version), **said_of(known)} for known, version in found]

    async def reload(self, name: str) -> dict[str, Any]:
        """Have the pipeline read all its definitions from the source's catalog.

        Raises:
            ControlError: It does not run, or its source is not connected or refused.
        """
        began = time.monotonic()
        tables = await self._reloaded(name, None)
        return {
            "pipeline": name,
            "tables_reloaded": sum(table["status"] == "ok" for table in tables),
            "tables": tables,
            "elapsed_ms": round((time.monotonic() - began) * 1000),
        }

    async def reload_table(self, name: str, database: str, table: str) -> dict[str, Any]:
        """Have the pipeline read one definition again, and show it.

        Raises:
            NotFoundError: The source has no such table, or it is not captured.
            ControlError: As :meth:`reload`, or the definition cannot be read.
        """
        found = [each for each in await self._reloaded(name, [(database, table)]) if each["status"] != "missing"]
        if not found:
            raise NotFoundError(f"pipeline {name} captures no table {database}.{table} that exists")
        for each in found:
            if each["status"] != "ok":
                raise ControlError(f"table {database}.{table} cannot be read: {each['error']}")
        return await self.detail(name, database, table)

    async def take_over(self, name: str, database: str, table: str, shard: str | None = None) -> dict[str, Any]:
        """Have the next start take one definition from the source's catalog, for rows whose definition the log does not
        say.

        Raises:
            ControlError: The pipeline runs: it needs none.
        """
        pipeline = self._get(name)
        if pipeline.supervisor.status in ("running", "paused", "starting"):
            raise ControlError(
                f"pipeline {name} is {pipeline.supervisor.status}: it knows the definitions that it needs"
            )
        found = shard_asked(pipeline.parsed.spec, shard)
        return await take_over(pipeline.supervisor.paths.of_log(found), database, table)

    async def forget(self, pipeline: Pipeline) -> None:
        """Delete what is registered for a pipeline that is being deleted; it must have ended."""
        try:
            saved = await asyncio.to_thread(pipeline.saved_source_ids)
        except CheckpointError as error:
            log.warning("shards that pipeline %s had before may leave their definitions: %s", pipeline.name, error)
            saved = set()
        await self.forget_sources(pipeline, {*pipeline.source_ids, *saved})

    async def forget_sources(self, pipeline: Pipeline, source_ids: Iterable[str]) -> None:
        """Delete what a pipeline has registered for sources that nobody reads."""

        def delete() -> None:
            tenant = pipeline.tenant
            with self._stored(pipeline) as storage:
                for source_id in source_ids:
                    forget(storage.log, storage.kv, tenant, source_id)
                    FailoverLog(storage.kv, source_id).forget()

        await asyncio.to_thread(delete)

    async def _registries(self, name: str, shard: str | None) -> dict[str, SchemaRegistry]:
        """Of each log, or of one, by shard."""
        pipeline = self._get(name)
        ids = dict(zip(shards_of(pipeline), pipeline.source_ids, strict=False))
        if shard is not None:
            (shard,) = shards_asked(pipeline.parsed.spec, shard)
            ids = {shard: ids[shard]}

        def read() -> dict[str, SchemaRegistry]:
            with self._stored(pipeline) as storage:
                return {known: SchemaRegistry(storage.log, pipeline.tenant, ids[known]) for known in ids}

        return await asyncio.to_thread(read)

    def _stored(self, pipeline: Pipeline) -> AbstractContextManager[Storage]:
        """Where the pipeline registers."""
        return learned_storage(self._storage, self._options, pipeline)

    async def _reloaded(self, name: str, tables: list[tuple[str, str]] | None) -> list[dict[str, Any]]:
        supervisor = self._get(name).supervisor
        if supervisor.status not in ("running", "paused"):
            raise ControlError(f"pipeline {name} is {supervisor.status}: only a running one can reload its schemas")
        return await supervisor.reload_schemas(tables)


async def take_over(paths: PipelinePaths, database: str, table: str) -> dict[str, Any]:
    """Ask for the definition of a table, and say what that means."""
    await asyncio.to_thread(_ask, paths, database, table)
    log.warning("pipeline %s will take the definition of %s.%s from the catalog", paths.name, database, table)
    return {
        "pipeline": paths.name,
        "take_over": {"database": database, "table": table},
        "message": "the next start (resume) takes the definition of this table from the catalog, for the first rows "
        "whose definition is not known and those behind them. It must be the one they were written with: no DDL of the "
        "table may lie between them and now.",
    }


def _ask(paths: PipelinePaths, database: str, table: str) -> None:
    paths.make_log_root()
    TakeOvers(paths.log_root).ask(database, table)


def _newest(registries: dict[str, SchemaRegistry], tables: list[TableName]) -> Iterator[Known]:
    """The newest version of each table, by shard, of those that have one."""
    for table in tables:
        newest = [(shard, registry.latest(table)) for shard, registry in registries.items()]
        if known := [(shard, version) for shard, version in newest if version is not None]:
            yield known


def _known_by(versions: Known) -> dict[str, Any]:
    """Which shards have a table, by the fingerprint that it has there; nothing without shards."""
    found: dict[str, list[str]] = {}
    for shard, version in versions:
        if shard:
            found.setdefault(version.hash, []).append(shard)
    return {"shards": found} if found else {}


def _names(schema: TableSchema) -> dict[str, Any]:
    return {"database": schema.table.schema or schema.table.db, "table": schema.table.name}


def _summary(version: SchemaVersion) -> dict[str, Any]:
    return {
        **_names(version.schema),
        "column_count": len(version.schema.columns),
        "primary_key": version.schema.primary_key,
        "fingerprint": version.hash,
        "registry_version": version.version,
    }


def _detail(version: SchemaVersion) -> dict[str, Any]:
    """The seed's keys first, then those that newer readers look for. What is not read of a source is null."""
    schema = version.schema
    return {
        **_names(schema),
        "columns": [_column(schema, place, column) for place, column in enumerate(schema.columns, 1)],
        "primary_key": schema.primary_key,
        "fingerprint": version.hash,
        "registry_version": version.version,
        "sequence": version.sequence,
        "loaded_at": version.registered_at.strftime(_TIME),
        "engine": None,
        "charset": None,
        "collation": None,
    }


def _column(schema: TableSchema, place: int, column: Column) -> dict[str, Any]:
    shown = {"name": column.name, "type": column.type, "nullable": column.nullable, "default": column.default}
    if column.extra:
        shown["extra"] = column.extra
    return {
        **shown,
        "column_type": column.type,
        "data_type": _data_type(column.type, is_mysql=schema.table.schema is None),
        "ordinal_position": place,
        "default_value": column.default,
        "is_primary_key": column.name in schema.primary_key,
    }


def _data_type(text: str, *, is_mysql: bool) -> str:
    """A declared type without its arguments, and without what MySQL writes behind them."""
    word = _WORD.match(text)
    return word[0] if is_mysql and word else _ARGUMENTS.sub("", text)


def _version(version: SchemaVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "fingerprint": version.hash,
        "column_count": len(version.schema.columns),
        "registered_at": version.registered_at.strftime(_TIME),
        "sequence": version.sequence,
        "position": version.since.position.view(),
    }
