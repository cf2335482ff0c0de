"""Encodings: an event in its envelope, made bytes."""
