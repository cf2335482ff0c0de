"""What is not the same, on purpose. ``docs/debezium.md`` shows this list."""

from tests.compat.comparing import Difference

DIFFERENCES: list[Difference] = []
