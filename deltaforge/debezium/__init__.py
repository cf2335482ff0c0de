"""Documents out of the configurations of Debezium's connectors: ``deltaforge import-debezium``."""
