"""The document part of the redis sink."""

import pytest
from pydantic import ValidationError

from deltaforge.sinks.redis import RedisSinkConfig


def config(uri, **settings):
    return RedisSinkConfig.model_validate({"id": "r", "uri": uri, "stream": "s"} | settings)


@pytest.mark.parametrize(
    "uri",
    [
        "redis://localhost",
        "rediss://user:hunter2@h:6380/1",
        "unix:///run/redis.sock",
        "redis+sentinel://:hunter2@h1:26379,h2/mymaster/0",
        "rediss+sentinel://h1/mymaster",
    ],
)
def test_uris_are_read_and_their_passwords_do_not_show(uri):
    known = config(uri)
    assert known.uri.get_secret_value() == uri
    assert "hunter2" not in known.model_dump_json() + repr(known)


@pytest.mark.parametrize("uri", ["localhost:6379", "http://h", "redis+sentinel://h1,h2", "redis+sentinel://h1/", ""])
def test_what_is_not_a_redis_uri_is_refused(uri):
    with pytest.raises(ValidationError):
        config(uri)


@pytest.mark.parametrize("settings", [{"stream": "${"}, {"key": "${a.b.c.d}"}, {"send_timeout_secs": 0}, {"x": 1}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        config("redis://h", **settings)


def test_the_timeouts_are_those_of_the_contract():
    known = config("redis://h")
    assert (known.send_timeout_secs, known.batch_timeout_secs, known.connect_timeout_secs) == (5, 30, 10)
