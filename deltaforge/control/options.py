"""What ``deltaforge serve`` is started with. Contract 02 section 11."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deltaforge.spec.references import ENV_PREFIX, References
from deltaforge.spec.remote import RemoteRules


@dataclass(frozen=True)
class ServeOptions:
    """Settings of a control plane process.

    Attributes:
        config: A pipeline document, or a directory searched for ``*.yaml`` and ``*.yml``; None: start with what
            is stored.
        api_addr: ``host:port`` of the REST API.
        metrics_addr: ``host:port`` of the listener for ``/metrics`` alone; None: none.
        insecure: Listen on addresses that others can reach, too, without any token.
        tls_cert: Certificate chain of both listeners, PEM; None: no TLS.
        tls_key: Its key.
        tls_client_ca: Clients need a certificate of one of these authorities, PEM; None: they need none.
        allowed_hosts: Names that requests may address besides addresses and ``localhost``.
        storage_backend: ``sqlite`` or ``memory``.
        storage_path: Database file of ``sqlite``; made with its directory when missing.
        storage_dsn: Reserved for ``postgres``, which this version refuses.
        state_dir: Where pipelines keep positions and logs.
        output_dir: Below which file sinks of documents sent over REST may write.
        files_dir: Below which documents sent over REST may name certificates and the like; None: nowhere.
        environment: Variables that operators' files may name.
        env_prefix: What names of variables begin with that documents sent over REST may refer to.
        secrets_dir: Below which ``${file:name}`` of documents sent over REST leads; None: nowhere.
        token: Bearer token that may do everything; None: see ``token_file``.
        token_file: File with tokens and their roles, instead of ``token``. Without either, no token is asked for.
        allow_code: Accept documents over REST that carry Python code, and conditions of snapshots in SQL.
        stop_grace_secs: How long a pipeline may drain when it is stopped, before it is killed.
        settle_secs: How long create, resume and patch wait for a pipeline to connect or fail.
        crash_limit: A process that ended so often within the window is a crash loop: the pipeline fails.
        crash_window_secs: The window.
    """

    config: Path | None = None
    api_addr: str = "127.0.0.1:8080"
    metrics_addr: str | None = "127.0.0.1:9000"
    insecure: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    storage_backend: str = "sqlite"
    storage_path: Path = Path("data/deltaforge.db")
    storage_dsn: str | None = None
    state_dir: Path = Path("data")
    output_dir: Path = Path("output")
    files_dir: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    env_prefix: str = ENV_PREFIX
    secrets_dir: Path | None = None
    token: str | None = None
    token_file: Path | None = None
    allow_code: bool = False
    stop_grace_secs: float = 30.0
    settle_secs: float = 10.0
    crash_limit: int = 8
    crash_window_secs: float = 300.0

    def rules(self, given: frozenset[str] = frozenset()) -> RemoteRules:
        """What a document sent over REST may do here; ``given``: see :class:`RemoteRules`."""
        files_dir = str(self.files_dir.absolute()) if self.files_dir else ""
        refers = References(
            env_prefix=self.env_prefix, secrets_dir=str(self.secrets_dir.absolute()) if self.secrets_dir else ""
        )
        output_dir = str(self.output_dir.absolute())
        return RemoteRules(output_dir=output_dir, files_dir=files_dir, references=refers, given=given)

    @property
    def shared_storage(self) -> Path | None:
        """The file that pipelines share with the control plane; None: the backend is none that can be shared."""
        return self.storage_path.resolve() if self.storage_backend == "sqlite" else None
