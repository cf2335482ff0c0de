"""Envelopes: the document around an event, before it is made bytes."""
