import pytest
from pydantic import SecretStr

from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Dsn, Secret, SecretMap, is_redacted, is_secret_name, redacted, redacted_dsn

TEXTS = [
    ("mysql://u:pw@h/db", "mysql://u:***@h/db"),
    ("mysql://u:p@w/x:y@h/db", "mysql://u:***@h/db"),
    ("redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
    ("mysql://u@h/db", "mysql://u@h/db"),
    ("mysql://h:3306/db", "mysql://h:3306/db"),
    ("host=h password=pw user=u", "host=h password=*** user=u"),
    ("password='p w\\'x' host=h", "password=*** host=h"),
    ("PASSWORD = pw", "PASSWORD = ***"),
    ("https://h/x?token=abc&y=1", "https://h/x?token=***&y=1"),
    ("could not connect to mysql://u:pw@h/db today", "could not connect to mysql://u:***@h/db today"),
    ("nothing to hide", "nothing to hide"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_passwords_are_cut_out_of_text(text, expected):
    assert redacted(text) == expected
    assert redacted(expected) == expected
    assert is_redacted(expected) == (text != expected)
    assert is_redacted(text) is False


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        *(pair for pair in TEXTS if "today" not in pair[0]),
        ("pg://u:my pass@h/db", "pg://u:***@h/db"),
        ("pg://u:a b@c d@h/db?sslpassword=x&y=1", "pg://u:***@h/db?sslpassword=***&y=1"),
        ("host=h password=a\\ b user=u", "host=h password=*** user=u"),
        ("host=h password=a&b", "host=h password=***"),
        ("host=h password=a b user=u", "host=h password=*** user=u"),
        ("host=h password='a b user=u", "host=h password=***"),
        ("oauth_client_secret=x host=h", "oauth_client_secret=*** host=h"),
        ("password='' host=h", "password=*** host=h"),
    ],
)
def test_a_connection_string_shows_no_part_of_its_password(dsn, expected):
    assert redacted_dsn(dsn) == expected
    assert redacted_dsn(expected) == expected
    assert is_redacted(expected) == (dsn != expected)


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "sasl.password", "ssl.key.pem", "Cookie", "auth_token"])
def test_a_name_that_says_secret(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["Content-Type", "linger.ms", "key.serializer", "client.id", "sasl.mechanism"])
def test_a_name_that_does_not(name):
    assert not is_secret_name(name)


class Settings(StrictModel):
    dsn: Dsn
    password: Secret
    headers: SecretMap


def test_models_show_no_secret_anywhere():
    settings = Settings(dsn="pg://u:hunter2@h", password="hunter2", headers={"Authorization": "hunter2", "Accept": "x"})
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.model_dump(mode="json") == {
        "dsn": "pg://u:***@h",
        "password": "***",
        "headers": {"Authorization": "***", "Accept": "x"},
    }
    assert isinstance(settings.password, SecretStr)
    assert settings.headers["Authorization"] == "hunter2"
