"""The control plane without HTTP: pipelines, supervision, lifecycle."""
