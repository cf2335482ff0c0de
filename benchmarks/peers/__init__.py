"""DeltaForge beside its peers: the same rows, the same database server, the same broker, one after the other."""
