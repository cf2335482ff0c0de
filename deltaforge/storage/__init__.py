"""Storage backends for documents and desired state."""
