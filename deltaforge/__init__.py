"""DeltaForge: change data capture from MySQL, MariaDB and PostgreSQL, as Bytewax dataflows."""

__version__ = "0.1.0"
