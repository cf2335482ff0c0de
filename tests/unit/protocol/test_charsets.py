import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.core.errors import UnsupportedValueError
from deltaforge.protocol.mysql.charsets import _CODECS, text_decoder

READABLE = sorted({"latin1"} | {name for name, codec in _CODECS.items() if codec})


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        ("latin1", b"\x80\x81", "\u20ac\x81"),
        ("big5", b"a\xf9\xd6b", "a\u7881b"),
        ("cp866", b"\xfc", "\u207f"),
        ("euckr", b"\xb0\x4f", "\uceaf"),
        ("eucjpms", b"~\x8f\xa2\xb7\xad\xa1\xad\xe0", "~\uff5e\u2460\u301d"),
        ("eucjpms", b"\xf5\xa1\x8f\xfe\xfe", "\ue000\ue757"),
        ("ujis", b"\xf5\xa1\x8f\xfe\xfea", "\ue000\ue757a"),
        ("sjis", b"\x81\x5f", "\\"),
        ("gb18030", b"\xa8\xbc", "\u1e3f"),
    ],
)
def test_characters_are_read_as_the_server_reads_them(charset, raw, text):
    assert text_decoder(charset, "c")(raw) == text


@pytest.mark.parametrize(
    ("charset", "raw"), [("ujis", b"\xad\xa1"), ("ujis", b"\xf5"), ("eucjpms", b"\x8f"), ("big5", b"\xf9\xff")]
)
def test_bytes_that_are_no_character_are_an_error(charset, raw):
    with pytest.raises(UnicodeDecodeError):
        text_decoder(charset, "c")(raw)


@given(st.sampled_from(READABLE), st.binary(max_size=12))
def test_any_bytes_are_text_or_an_error(charset, raw):
    try:
        text = text_decoder(charset, "c")(raw)
    except UnicodeDecodeError:
        return
    assert isinstance(text, str)


def test_a_character_set_without_decoder_names_the_column():
    with pytest.raises(UnsupportedValueError, match="column name has character set swe7"):
        text_decoder("swe7", "name")
