"""The shape of the data: what JSON looks like, which object keys are data, and rows that break their declaration."""
