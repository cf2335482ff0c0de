import pytest

from deltaforge.config.secret import redacted_dsn
from deltaforge.core.errors import SpecError
from deltaforge.sources.mysql.dsn import Dsn, read_dsn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mysql://u:p@h/db", Dsn("h", 3306, "u", "p", {})),
        ("mariadb://h", Dsn("h", 3306, "", "", {})),
        ("mysql://u%40x:p%40%2F%3A%20%25@[::1]:3307/a%20b", Dsn("::1", 3307, "u@x", "p@/: %", {})),
        ("mysql://u:p@w/x:y@h:1/db", Dsn("h", 1, "u", "p@w/x:y", {})),
        ("mysql://u:a b@h/db", Dsn("h", 3306, "u", "a b", {})),
        ("mysql://u:@h/?ssl-mode=required&ssl-ca=%2Fa", Dsn("h", 3306, "u", "", {"ssl-mode": "required", "ssl-ca": "/a"})),
    ],
)  # fmt: skip
def test_a_dsn_is_taken_apart(text, expected):
    assert read_dsn(text) == expected
    assert "p@" not in repr(read_dsn(text))


@pytest.mark.parametrize(
    "text",
    [
        "postgres://u:cr3t@h/db", "host=h password=cr3t", "mysql://u:p?cr3t@h/db", "mysql://u:12?cr3t=1@h/db",
        "mysql://u:cr3t@h:cr3t/db", "mysql://u:cr3t@/db", "mysql://u:p#cr3t@h/db", "mysql://u:cr3t@[::1/db", "mysql://u:cr3t",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_without_its_secret(text):
    with pytest.raises(SpecError, match="cannot be read") as caught:
        read_dsn(text)
    assert "cr3t" not in str(caught.value)
    assert "percent-encoded" in caught.value.hint
    if text.count("cr3t") == 1 and "@" in text:
        assert "cr3t" not in redacted_dsn(text)


def test_a_parameter_that_would_have_no_effect_is_refused():
    with pytest.raises(SpecError, match="ssl_mode") as caught:
        read_dsn("mysql://u:p@h/db?ssl_mode=verify_ca")
    assert "ssl-mode" in caught.value.hint
