"""Debezium's connectors for one database: each case is one of them, with a prefix of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.converters import converters
from tests.compat.cases import Case

COMMON = {"tasks.max": "1", "snapshot.mode": "initial", "poll.interval.ms": "20", "tombstones.on.delete": "true"}


def prefix_of(source: str, case: Case) -> str:
    """A word that is nowhere else: it is replaced wherever it stands."""
    return f"theirs{source.replace('-', '')}{case.name}"


def connector(source: str, database: Any, case: Case, folder: Path, registry_url: str) -> dict[str, str]:
    """The connector's properties."""
    server = database.server
    return {
        **COMMON, "name": prefix_of(source, case), "topic.prefix": prefix_of(source, case),
        "database.hostname": server.host, "database.port": str(server.port), "database.user": server.user,
        "database.password": server.password,
        **(_postgres(database, case) if source.startswith("postgres") else _mysql(source, database, case, folder)),
        **converters(case.form, registry_url), **case.properties,
    }  # fmt: skip


def _mysql(source: str, database: Any, case: Case, folder: Path) -> dict[str, str]:
    kinds = {
        "mysql": {"connector.class": "io.debezium.connector.mysql.MySqlConnector", "database.ssl.mode": "disabled",
                  "driver.allowPublicKeyRetrieval": "true"},
        "mariadb": {"connector.class": "io.debezium.connector.mariadb.MariaDbConnector", "database.ssl.mode": "disable"},
    }  # fmt: skip
    return {
        **kinds[source], "database.include.list": database.name,
        "database.server.id": str(100_000 + sum(map(ord, case.name))),  # any number that no other replica has
        "snapshot.locking.mode": "none",
        "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
        "schema.history.internal.file.filename": str(folder / f"history-{case.name}"),
    }  # fmt: skip


def _postgres(database: Any, case: Case) -> dict[str, str]:
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.dbname": database.name,
        "database.sslmode": "disable", "plugin.name": "pgoutput", "publication.name": "pub",
        "publication.autocreate.mode": "disabled", "slot.name": f"theirs_{case.name}_{database.name}",
    }  # fmt: skip
