"""Benchmarks against real servers. ``make bench`` runs them; nothing here is a test."""
