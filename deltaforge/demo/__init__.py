"""``deltaforge demo``: a small shop on an embedded PostgreSQL, streamed to a file."""

from deltaforge.demo.main import main

__all__ = ["main"]
