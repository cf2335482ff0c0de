import asyncio
from types import SimpleNamespace

import pytest

from deltaforge.checkpoint.identity import FailoverLog, Known, ServerIdentity
from deltaforge.control.options import ServeOptions
from deltaforge.control.schemas import SourceSchemas
from deltaforge.core.errors import ControlError, NotFoundError
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.stored_schemas import StoredSchemas, storage_path_of
from deltaforge.schema.registry import SchemaRegistry
from deltaforge.schema.versions import Definition, LogPoint
from deltaforge.storage.memory import MemoryStorage
from deltaforge.storage.sqlite import SqliteStorage

SCHEMA = TableSchema(
    TableId("app", "public", "t"),
    (Column("id", "character varying(9)", nullable=False), Column("n", "numeric(7,2)")),
    ("id",),
)
FOUND = Definition(SCHEMA, SCHEMA.fingerprint(), "sig")
POINT = LogPoint("1", (16, 0), PostgresPosition(16))


class Supervisor:
    status = "running"

    def __init__(self, paths):
        self.paths = paths
        self.answers = []

    async def reload_schemas(self, _tables):
        return self.answers


@pytest.fixture
def pipeline(tmp_path):
    paths = PipelinePaths(tmp_path / "state", "p")
    paths.create()
    log = {"source_ids": ["s"], "saved_source_ids": set, "tenant": "acme", "fault": "", "name": "p"}
    parsed = SimpleNamespace(spec=SimpleNamespace(shards=lambda: ("",)))
    return SimpleNamespace(parsed=parsed, supervisor=Supervisor(paths), **log)


@pytest.fixture(params=["sqlite", "memory"])
def schemas(request, tmp_path, pipeline):
    options = ServeOptions(storage_backend=request.param, storage_path=tmp_path / "df.db", state_dir=tmp_path / "state")
    storage = SqliteStorage(tmp_path / "df.db") if request.param == "sqlite" else MemoryStorage()
    yield SourceSchemas(storage, options, lambda _: pipeline)
    storage.close()


@pytest.fixture
def registered(schemas, pipeline):
    learned = StoredSchemas(storage_path_of(pipeline.supervisor.paths, schemas._options.shared_storage), "acme", "s")
    learned.registry.record([FOUND], POINT)
    learned.close()
    return schemas


def run(awaitable):
    return asyncio.run(awaitable)


def test_nothing_is_known_of_a_pipeline_that_never_ran(schemas):
    assert run(schemas.tables("p")) == []
    for ask in (schemas.detail, schemas.versions):
        with pytest.raises(NotFoundError, match=r"pipeline p has no schema of table public\.t"):
            run(ask("p", "public", "t"))


def test_views_have_the_keys_of_the_contract(registered):
    (summary,) = run(registered.tables("p"))
    assert summary == {
        "database": "public", "table": "t", "column_count": 2, "primary_key": ("id",), "fingerprint": FOUND.hash,
        "registry_version": 1,
    }  # fmt: skip
    detail = run(registered.detail("p", "public", "t"))
    assert detail["columns"] == [
        {
            "name": "id", "type": "character varying(9)", "nullable": False, "default": None,
            "column_type": "character varying(9)", "data_type": "character varying", "ordinal_position": 1,
            "default_value": None, "is_primary_key": True,
        },
        {
            "name": "n", "type": "numeric(7,2)", "nullable": True, "default": None, "column_type": "numeric(7,2)",
            "data_type": "numeric", "ordinal_position": 2, "default_value": None, "is_primary_key": False,
        },
    ]  # fmt: skip
    (version,) = run(registered.versions("p", "public", "t"))
    assert (version["version"], version["column_count"], version["position"]) == (1, 2, {"lsn": "0/10", "tx_id": None})
    assert version["registered_at"].endswith("Z")


def test_a_deleted_pipeline_leaves_nothing_of_its_source(registered, pipeline):
    run(registered.forget(pipeline))
    assert run(registered.tables("p")) == []


def test_deletion_leaves_other_sources_alone(registered, pipeline):
    known = Known(ServerIdentity("7"))
    with registered._stored(pipeline) as storage:
        SchemaRegistry(storage.log, "acme", "s2").record([FOUND], POINT)
        for source_id in ("s", "s2"):
            FailoverLog(storage.kv, source_id).remember(known)
    run(registered.forget(pipeline))
    with registered._stored(pipeline) as storage:
        assert SchemaRegistry(storage.log, "acme", "s2").tables == [("public", "t")]
        assert [FailoverLog(storage.kv, source_id).known() for source_id in ("s", "s2")] == [None, known]


def test_reload_counts_the_tables_that_were_read(registered, pipeline):
    pipeline.supervisor.answers = [{"status": "ok"}, {"status": "missing"}, {"status": "ok"}]
    answer = run(registered.reload("p"))
    assert (answer["pipeline"], answer["tables_reloaded"], len(answer["tables"])) == ("p", 2, 3)


@pytest.mark.parametrize(("status", "error"), [("missing", NotFoundError), ("error", ControlError)])
def test_reload_of_one_table_says_why_it_could_not(registered, pipeline, status, error):
    pipeline.supervisor.answers = [{"status": status, "error": "why"}]
    with pytest.raises(error):
        run(registered.reload_table("p", "public", "t"))
    pipeline.supervisor.answers = [{"status": "ok"}]
    assert run(registered.reload_table("p", "public", "t"))["registry_version"] == 1


@pytest.mark.parametrize("status", ["stopped", "failed"])
def test_only_a_running_pipeline_can_reload(registered, pipeline, status):
    pipeline.supervisor.status = status
    with pytest.raises(ControlError, match=f"pipeline p is {status}: only a running one"):
        run(registered.reload("p"))
