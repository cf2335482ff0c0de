"""Wire bytes to messages: pure functions, no IO, every bound checked."""
