"""Where a server may listen, and what it needs for that."""

import pytest

from api.address import resolve
from api.server import check_exposure, serve
from deltaforge.control.options import ServeOptions
from deltaforge.control.tokens import Tokens
from deltaforge.core.errors import SpecError

LOOPBACK = ["127.0.0.1:1", "localhost:0", "127.9.8.7:1", "[::1]:1", "::1:1", "127.1:1", "[::ffff:127.0.0.1]:1"]
PUBLIC = ["0.0.0.0:1", "[::]:1", ":::1", "0:1", "192.0.2.7:1", "[2001:db8::1]:1", "[::ffff:192.0.2.7]:1", "[fe80::1]:1"]


@pytest.mark.parametrize("text", LOOPBACK)
def test_addresses_that_only_this_machine_reaches(text):
    assert resolve(text).is_loopback
    check_exposure([resolve(text)], ServeOptions(), Tokens())


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_that_others_reach_needs_a_token_or_a_word(text):
    address = resolve(text)
    assert not address.is_loopback
    with pytest.raises(SpecError, match=r"others can reach .* --token-file .* --insecure"):
        check_exposure([resolve("127.0.0.1:1"), address], ServeOptions(), Tokens())
    check_exposure([address], ServeOptions(), Tokens("x" * 32))
    check_exposure([address], ServeOptions(insecure=True), Tokens())


@pytest.mark.parametrize("field", ["api_addr", "metrics_addr"])
def test_a_server_without_a_token_does_not_even_begin(tmp_path, field):
    given = {"api_addr": "127.0.0.1:0", "metrics_addr": "127.0.0.1:0", field: "0.0.0.0:0"}
    options = ServeOptions(state_dir=tmp_path / "state", storage_path=tmp_path / "df.db", **given)
    with pytest.raises(SpecError, match="others can reach"):
        serve(options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", ":80", "host", "host:", "h:70000", "h:1:2 ", "h :1", "[::1:1", "unix:/x", "fd://3", "h:²", "h:-1"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(SpecError, match="is not host:port"):
        resolve(text)


def test_a_name_that_nobody_knows():
    with pytest.raises(SpecError, match="not known"):
        resolve("nobody.invalid:80")
