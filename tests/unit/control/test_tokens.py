import hashlib
import logging
import os

import pytest

from deltaforge.control.tokens import Role, Tokens, read_tokens
from deltaforge.core.errors import SpecError

SECRET = "correct-horse-battery"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tokens"

    def write(text, mode=0o600):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    return write


def test_roles_names_and_hashes(file):
    hashed = hashlib.sha256(b"of-the-dashboard").hexdigest()
    path = file(f"# people\nadmin:ada:{SECRET}\n\noperate:night-shift:an:odd:token\nread:grafana:sha256:{hashed}\n")
    tokens = Tokens("ignored", path)
    found = [tokens.find(text) for text in (SECRET, "an:odd:token", "of-the-dashboard")]
    assert [(token.role, token.name) for token in found] == [
        (Role.ADMIN, "ada"), (Role.OPERATE, "night-shift"), (Role.READ, "grafana"),
    ]  # fmt: skip
    for wrong in ("", "ignored", SECRET.upper(), SECRET + " ", hashed, f"sha256:{hashed}", "\udcff"):
        assert tokens.find(wrong) is None
    assert SECRET not in repr(found)


def test_one_token_alone_may_do_everything(file):
    assert Tokens(None, file(f"{SECRET}\n")).find(SECRET).role is Role.ADMIN
    assert Tokens(SECRET).find(SECRET).role is Role.ADMIN
    assert not Tokens()
    assert not Tokens("")


@pytest.mark.parametrize(
    "text",
    ["", "\n # nothing\n", "root:ada:x", "admin:ada:", "admin::x", "admin:ada", "admin:a b:x", "a b", "admin:ada:x y",
     "admin:ada:ü", b"\xff", "admin:a:one\nread:a:two", "admin:a:one\nread:b:one", "one\ntwo", "x" * (1 << 20) + "y"],
)  # fmt: skip
def test_a_file_that_is_not_understood_is_refused_and_not_shown(file, text):
    path = file(text)
    with pytest.raises(SpecError) as caught:
        read_tokens(path)
    assert str(path) in str(caught.value)
    for word in ("one", "root", "x y"):
        assert f"{word!r}" not in str(caught.value)


def test_a_file_that_is_not_there_does_not_mean_no_token(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(SpecError, match="token file"):
            Tokens(None, path)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(file, mode):
    with pytest.raises(SpecError, match=r"written by others .*chmod 600"):
        read_tokens(file(SECRET, mode))


def test_a_file_that_everybody_may_read_is_warned_of(file, caplog):
    read_tokens(file(SECRET, 0o644))
    assert "chmod 600" in caplog.text
    caplog.clear()
    read_tokens(file(SECRET, 0o440))
    assert caplog.text == ""


def test_a_change_of_the_file_holds_at_once_and_a_broken_one_changes_nothing(file, caplog):
    caplog.set_level(logging.INFO)
    path = file(f"admin:ada:{SECRET}\n")
    tokens = Tokens(None, path)
    file("admin:eve:another-token\n")
    os.utime(path, (1, 1))
    assert tokens.find(SECRET) is None
    assert tokens.find("another-token").name == "eve"
    file("nonsense:line:x\n")
    os.utime(path, (2, 2))
    assert tokens.find("another-token").name == "eve"
    path.unlink()
    assert tokens.find("another-token").name == "eve"
    assert caplog.text.count("the tokens stay as they were") == 2
