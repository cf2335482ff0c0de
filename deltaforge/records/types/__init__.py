"""The one table of types: declared types of MySQL, MariaDB and PostgreSQL as fields of records."""

from deltaforge.records.types.columns import RecordColumn, cdc_column, record_column
from deltaforge.records.types.options import CdcModes, ConnectOptions

__all__ = ["CdcModes", "ConnectOptions", "RecordColumn", "cdc_column", "record_column"]
