import copy

import pytest

SMALLEST = {
    "metadata": {"name": "orders-cdc", "tenant": "acme"},
    "spec": {
        "source": {
            "type": "mysql",
            "config": {"id": "mysql-1", "dsn": "mysql://user:pass@host/db", "tables": ["shop.orders"]},
        },
        "processors": [],
        "sinks": [
            {"type": "kafka", "config": {"id": "kafka-1", "brokers": "localhost:9092", "topic": "orders"}},
        ],
    },
}


@pytest.fixture
def smallest():
    """The create body of the REST contract, exactly as written there."""
    return copy.deepcopy(SMALLEST)


@pytest.fixture
def put(smallest):
    """A function that sets or (without a value) removes one key of the smallest document."""

    def change(path, *value):
        at = smallest
        *way, last = path.split("/")
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        if value:
            at[last] = value[0]
        else:
            del at[last]
        return smallest

    return change
