"""Metric names, logging. What an operator sees."""
