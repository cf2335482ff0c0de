"""Every character of every character set, as the server reads it."""

import pytest

from deltaforge.protocol.mysql.charsets import _CODECS, text_decoder

CHARSETS = sorted({"latin1"} | {name for name, codec in _CODECS.items() if codec and not codec.startswith("utf")})
NOT_DECODED = {"eucjpms": 106}
"""Extensions of IBM arrive as bytes."""


def bytes_of_characters():
    """One and two bytes, and three as EUC has them; of each kind all."""
    yield from (bytes((first,)) for first in range(256))
    yield from (bytes((first, second)) for first in range(0x80, 256) for second in range(0x30, 256))
    yield from (bytes((0x8F, second, third)) for second in range(0xA1, 255) for third in range(0xA1, 255))


@pytest.mark.parametrize("server", ["mysql", "mariadb"])
def test_characters_are_those_of_the_server(server, request):
    with (
        request.getfixturevalue(server).fresh_database() as database,
        database.connect() as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("create table t (raw varbinary(4) primary key)")
        rows = ", ".join(f"(x'{raw.hex()}')" for raw in bytes_of_characters())
        cursor.execute(f"insert into t values {rows}")
        cursor.execute("set sql_mode = ''")
        cursor.execute("select character_set_name from information_schema.character_sets")
        known = {name for (name,) in cursor.fetchall()}
        assert set(CHARSETS) - known == ({"gb18030"} if server == "mariadb" else set())
        for charset in sorted(known & set(CHARSETS)):
            text = f"convert(raw using {charset})"
            cursor.execute(
                f"select raw, hex(convert({text} using utf8mb4)) from t where hex({text}) = hex(raw) and char_length({text}) = 1"
            )
            check(charset, [(raw, bytes.fromhex(printed).decode()) for raw, printed in cursor.fetchall()])


def check(charset, characters):
    decode, missing = text_decoder(charset, "c"), []
    for raw, expected in characters:
        if (expected == "?" and raw != b"?") or expected in ("", "\ufffd"):
            continue  # no character of the set
        try:
            assert decode(raw) == expected, (charset, raw)
        except UnicodeDecodeError:
            missing.append((raw, expected))
    assert len(missing) == NOT_DECODED.get(charset, 0), (charset, missing[:20])
