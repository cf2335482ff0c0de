"""Saved positions: what they look like and how they are read back."""
