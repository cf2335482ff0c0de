"""Limits on the connections between the processes of a cluster, on sockets that somebody else has opened."""

import socket
from contextlib import ExitStack, closing

import pytest

from deltaforge.runtime.links import SILENT_SECS, cluster_addresses, limit_links


def limit_of(link):
    options = (socket.SO_KEEPALIVE, socket.SOL_SOCKET), (socket.TCP_USER_TIMEOUT, socket.IPPROTO_TCP)
    return [link.getsockopt(level, option) for option, level in options]


@pytest.fixture
def opened():
    with ExitStack() as stack:
        yield lambda link: stack.enter_context(closing(link))


def connected(opened):
    """The address of a listener, and both ends of a connection to it."""
    listener = opened(socket.create_server(("127.0.0.1", 0)))
    ours = opened(socket.create_connection(listener.getsockname()))
    theirs = opened(listener.accept()[0])
    return f"localhost:{listener.getsockname()[1]}", ours, theirs


def test_both_ends_of_a_connection_of_the_cluster_get_a_limit_and_others_none(opened):
    address, ours, theirs = connected(opened)
    _, other, _ = connected(opened)
    assert limit_links([address, "127.0.0.1:1"]) == 2
    assert limit_of(ours) == limit_of(theirs) == [1, SILENT_SECS * 1000]
    assert limit_of(other) == [0, 0]
    ours.sendall(b"x")  # they stay open
    assert theirs.recv(1) == b"x"


@pytest.mark.parametrize(
    ("arguments", "environment", "addresses"),
    [
        (["flow", "-i", "1", "-a", "a:1;b:2"], {}, ["a:1", "b:2"]),
        (["flow"], {"BYTEWAX_ADDRESSES": "a:1;b:2"}, ["a:1", "b:2"]),
        (["flow", "-w", "2"], {}, []),
        (["flow"], {"BYTEWAX_HOSTFILE_PATH": "/absent"}, []),
    ],
)
def test_addresses_are_those_that_bytewax_is_told(arguments, environment, addresses):
    assert cluster_addresses(arguments, environment) == addresses


def test_addresses_may_stand_in_a_file(tmp_path):
    (tmp_path / "hosts").write_text("a:1\n\n b:2 \n")
    assert cluster_addresses([], {"BYTEWAX_HOSTFILE_PATH": str(tmp_path / "hosts")}) == ["a:1", "b:2"]
