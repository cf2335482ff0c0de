"""Ports of the tests' servers."""

from tests.fixtures.ports import free_port


def test_ports_that_nobody_listens_on_yet_are_not_given_out_again():
    counts = [2, 1, 3, 2, 1]
    ports = [
        port
        for count, first in zip(counts, map(free_port, counts), strict=True)
        for port in range(first, first + count)
    ]
    assert len(set(ports)) == sum(counts)
