"""Dead letters: events that failed alone, kept for people. Contract 04 section 6."""
