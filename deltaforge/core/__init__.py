"""The nouns of the engine: events, positions, tables, batches, errors. No IO, no clocks, no threads."""
