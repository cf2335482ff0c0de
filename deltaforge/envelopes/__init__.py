"""Envelopes: event to document."""
