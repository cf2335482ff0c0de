"""The pipeline document: its models, how it is read and checked, and how it is shown."""

from deltaforge.spec.document import ParsedDocument, document_files, json_schema, load_file, parse_document, read_values
from deltaforge.spec.model import PipelineSpec
from deltaforge.spec.names import check_new_names
from deltaforge.spec.secrets import has_redacted, restore_secrets
from deltaforge.spec.support import check_supported

__all__ = [
    "ParsedDocument",
    "PipelineSpec",
    "check_new_names",
    "check_supported",
    "document_files",
    "has_redacted",
    "json_schema",
    "load_file",
    "parse_document",
    "read_values",
    "restore_secrets",
]
