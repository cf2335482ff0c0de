"""The dataflow: the only importer of bytewax."""
