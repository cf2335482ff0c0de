"""Whose a source's definitions are: they go with the source when its pipeline is given to another tenant.

The keys of the registry begin with the tenant, and the saved position knows none. Without its definitions a pipeline
would read what lies behind that position by what the catalog says today.
"""

from __future__ import annotations

from deltaforge.schema.registry import NAMESPACE, key_prefix
from deltaforge.storage.base import KeyValues, Log


def take_over(log: Log, kv: KeyValues, tenant: str, source_id: str, *, goes_on: bool) -> None:
    """Note the tenant of a source; if it is another one than before, the definitions become its own. What is there
    of a source that nothing is saved of is forgotten: whoever had the id read another log.

    May end at any place and be called again. Only the process that owns the pipeline calls it.

    Args:
        log: Of the storage backend.
        kv: Likewise.
        tenant: ``metadata.tenant``.
        source_id: ``spec.source.config.id``.
        goes_on: Whether something is saved of the source: then the definitions are needed.

    Raises:
        StorageError: It cannot be stored.
    """
    before = _noted(kv, source_id)
    if not goes_on:
        forget(log, kv, tenant, source_id)
    elif before == tenant:
        return
    elif before is not None:
        old, new = key_prefix(before, source_id), key_prefix(tenant, source_id)
        entries = log.list(NAMESPACE, old)
        if entries:
            log.delete(NAMESPACE, new)  # of a time before the old one, or of a move that was not finished
            log.extend(NAMESPACE, [(new + entry.key[len(old) :], entry.val) for entry in entries])
            log.delete(NAMESPACE, old)
    kv.put(NAMESPACE, _key(source_id), tenant.encode())


def forget(log: Log, kv: KeyValues, tenant: str, source_id: str) -> None:
    """Delete what is registered for a source, under this tenant and the one that was noted last."""
    for owner in {tenant, _noted(kv, source_id) or tenant}:
        log.delete(NAMESPACE, key_prefix(owner, source_id))
    kv.delete(NAMESPACE, _key(source_id))


def _noted(kv: KeyValues, source_id: str) -> str | None:
    value = kv.get(NAMESPACE, _key(source_id))
    return None if value is None else value.decode()


def _key(source_id: str) -> str:
    return f"tenant of {source_id}"
