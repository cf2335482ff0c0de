"""The schema registry of a sink: whether it answers, and what it makes of changed schemas."""

from __future__ import annotations

from deltaforge.doctor.finding import Check, Notes, Subject
from deltaforge.encodings.registry_settings import RegistrySettings
from deltaforge.sinks.base import EncodedSinkConfig

CHECKS = {
    "registry.connect": Check(
        "the schema registry answers and lets the user in",
        "as the message says: `schema_registry_url` with the path of the API, `username`, `password`, `ca_file`",
    ),
    "registry.compatibility": Check(
        "the registry says how new versions of a schema are compared: `BACKWARD`, `FORWARD`, `FULL` or `NONE`",
        "for topics that hold several tables: `subject_strategy: topic_record_name`, or `PUT /config/{subject}` with "
        '`{"compatibility": "NONE"}`',
    ),
}
_KNOWN = {f"{level}{whole}" for level in ("BACKWARD", "FORWARD", "FULL") for whole in ("", "_TRANSITIVE")} | {"NONE"}


def where(config: EncodedSinkConfig) -> str:
    """Host and port of the registry."""
    settings = config.encoding
    return settings.registry().where if isinstance(settings, RegistrySettings) else ""


def examine(subject: Subject, config: EncodedSinkConfig, notes: Notes) -> None:
    """Ask the registry of a sink."""
    settings = config.encoding
    if not isinstance(settings, RegistrySettings):
        return
    with notes.of("registry.connect"):
        registry = settings.registry()
        level = registry.check(subject.patience_secs / 2)
        notes.ok("registry.connect", f"the schema registry answers at {registry.where}")
        if level in _KNOWN:
            notes.ok("registry.compatibility", f"the compatibility of subjects is {level}, unless they say otherwise")
        else:
            notes.warn("registry.compatibility", f"the compatibility of subjects is {level}")
