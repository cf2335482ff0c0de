"""Table definitions over time: which one was valid where."""
