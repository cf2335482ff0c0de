"""The fixtures of all tests: see the modules for what each gives."""

import logging

import pytest

from tests.processes import ended_on_failure

pytest_plugins = [
    "tests.fixtures.fix_servers",
    "tests.fixtures.fix_mysql",
    "tests.fixtures.fix_postgres",
    "tests.fixtures.fix_redis",
    "tests.fixtures.fix_kafka",
    "tests.fixtures.fix_registry",
    "tests.fixtures.fix_prometheus",
    "tests.fixtures.fix_proxy",
    "tests.fixtures.fix_trial",
    "tests.fixtures.fix_disk",
    "tests.fixtures.fix_package",
    "tests.fixtures.fix_hypothesis",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Before the fixtures of a failed test end: processes it has left hold databases that are to be dropped. A command
    that a test has run logs to what was its standard error, which is closed for all tests that follow; levels that it
    has set end with it.
    """
    root = logging.getLogger()
    before = list(root.handlers)
    try:
        with ended_on_failure():
            return (yield)
    finally:
        for handler in set(root.handlers).difference(before):
            if hasattr(handler, "forget"):
                handler.forget()
            root.removeHandler(handler)
