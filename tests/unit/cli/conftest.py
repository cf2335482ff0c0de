import logging

import pytest

DOCUMENT = """\
metadata: {name: orders-cdc, tenant: acme}
spec:
  source:
    type: mysql
    config: {id: mysql-1, dsn: "mysql://user:hunter2@host/db", tables: [shop.orders]}
  processors: []
  sinks:
    - type: kafka
      config: {id: kafka-1, brokers: "localhost:9092", topic: orders}
"""


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "orders.yaml"
    path.write_text(DOCUMENT)
    return path


@pytest.fixture(autouse=True)
def _log_output_as_before():
    """Commands configure the log of their process; here that is the process of the tests."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
