"""Settings: strict models, environment expansion, secrets, table patterns."""
