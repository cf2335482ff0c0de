"""Encodings: document to bytes."""
