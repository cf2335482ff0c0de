"""Collation ids to character sets, and character sets to decoders.

Source: ``information_schema.COLLATIONS`` of MySQL 9.7 and MariaDB 10.11 and 11.8.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from functools import partial

from deltaforge.core.errors import UnsupportedValueError

_IDS = {
    "armscii8": "32 64 1056 1088",
    "ascii": "11 65 1035 1089",
    "big5": "1 84 1025 1108",
    "binary": "63",
    "cp1250": "26 34 44 66 99 1050 1090",
    "cp1251": "14 23 50-52 1074-1075",
    "cp1256": "57 67 1081 1091",
    "cp1257": "29 58-59 1082-1083",
    "cp850": "4 80 1028 1104",
    "cp852": "40 81 1064 1105",
    "cp866": "36 68 1060 1092",
    "cp932": "95-96 1119-1120",
    "dec8": "3 69 1027 1093",
    "eucjpms": "97-98 1121-1122",
    "euckr": "19 85 1043 1109",
    "gb18030": "248-250",
    "gb2312": "24 86 1048 1110",
    "gbk": "28 87 1052 1111",
    "geostd8": "92-93 1116-1117",
    "greek": "25 70 1049 1094",
    "hebrew": "16 71 1040 1095",
    "hp8": "6 72 1030 1096",
    "keybcs2": "37 73 1061 1097",
    "koi8r": "7 74 1031 1098",
    "koi8u": "22 75 1046 1099",
    "latin1": "5 8 15 31 47-49 94 1032 1071",
    "latin2": "2 9 21 27 77 1033 1101",
    "latin5": "30 78 1054 1102",
    "latin7": "20 41-42 79 1065 1103",
    "macce": "38 43 1062 1067",
    "macroman": "39 53 1063 1077",
    "sjis": "13 88 1037 1112",
    "swe7": "10 82 1034 1106",
    "tis620": "18 89 1042 1113",
    "ucs2": "35 90 128-151 159 640-642 1059 1114 1152 1174 2560-2815",
    "ujis": "12 91 1036 1115",
    "utf16": "54-55 101-124 672-674 1078-1079 1125 1147 2816-3071",
    "utf16le": "56 62 1080 1086",
    "utf32": "60-61 160-183 736-738 1084-1085 1184 1206 3072-3327",
    "utf8mb3": "33 76 83 192-215 223 576-579 1057 1107 1216 1238 2048-2303",
    "utf8mb4": "45-46 224-247 255-271 273-323 608-611 1069-1070 1248 1270 2304-2559",
}

_CODECS = {
    "armscii8": None,
    "ascii": "ascii",
    "big5": "big5",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp866": "cp866",
    "cp932": "cp932",
    "dec8": None,
    "eucjpms": "euc_jp",
    "euckr": "cp949",
    "gb18030": "gb18030",
    "gb2312": "gb2312",
    "gbk": "gbk",
    "geostd8": None,
    "greek": "iso8859-7",
    "hebrew": "iso8859-8",
    "hp8": "hp-roman8",
    "keybcs2": None,
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "latin2": "iso8859-2",
    "latin5": "iso8859-9",
    "latin7": "iso8859-13",
    "macce": "mac-latin2",
    "macroman": "mac-roman",
    "sjis": "shift_jis",
    "swe7": None,
    "tis620": "tis-620",
    "ucs2": "utf-16-be",
    "ujis": "euc_jp",
    "utf16": "utf-16-be",
    "utf16le": "utf-16-le",
    "utf32": "utf-32-be",
    "utf8": "utf-8",
    "utf8mb3": "utf-8",
    "utf8mb4": "utf-8",
}


_OTHER_CHARACTERS = {
    charset: str.maketrans(ours, servers)
    for charset, ours, servers in (
        ("cp866", "\u2116\u00a4", "\u207f\u00b2"),
        ("eucjpms", "\u301c\u2016\u2212\u00a2\u00a3\u00ac\u00a6", "\uff5e\u2225\uff0d\uffe0\uffe1\uffe2\uffe4"),
        ("gb18030", "\ue7c7\u1e3f", "\u1e3f\ue7c7"),
        ("greek", "\u2018\u2019", "\u02bd\u02bc"),
        ("hebrew", "\u00af", "\u203e"),
        ("koi8u", "\u2219", "\u2022"),
        ("sjis", "\uff3c", "\\"),
        ("ujis", "\uff3c", "\\"),
    )
}
"""Where the servers read other characters than Python's codec does: ``tests/integration/types/test_charsets.py``."""


def _ranges() -> dict[int, str]:
    charsets: dict[int, str] = {}
    for name, spans in _IDS.items():
        for span in spans.split():
            low, _, high = span.partition("-")
            charsets |= dict.fromkeys(range(int(low), int(high or low) + 1), name)
    return charsets


_CHARSETS = _ranges()


def charset_of_collation(collation: int) -> str:
    """The character set of a collation id; ``collation 1234`` for one that is not known.

    An unknown one is an error only when a column that uses it is decoded.
    """
    return _CHARSETS.get(collation, f"collation {collation}")


def codec_of(charset: str) -> str:
    """Python's codec that is next to a character set; that of ASCII if there is none."""
    return "cp1252" if charset == "latin1" else _CODECS.get(charset) or "ascii"


def text_decoder(charset: str, column: str) -> Callable[[bytes], str]:
    """A function from the bytes of a text column to text. It raises ``UnicodeDecodeError``.

    Raises:
        UnsupportedValueError: There is no decoder for this character set.
    """
    if charset == "latin1":
        return _decode_latin1
    if charset == "eucjpms":
        return _decode_eucjpms
    codec = _CODECS.get(charset)
    if codec is None:
        raise UnsupportedValueError(
            f"column {column} has character set {charset}, which cannot be decoded",
            hint="convert the column to utf8mb4, or leave the table out",
        )
    others, errors = _OTHER_CHARACTERS.get(charset), _MORE_CHARACTERS.get(charset, "strict")
    if others is not None:
        return lambda data: data.decode(codec, errors).translate(others)
    return lambda data: data.decode(codec, errors)


def decode_statement(data: bytes, charset: str) -> str:
    """The text of a statement that a client sent in this character set.

    A statement may hold bytes that are no text, in literals. What cannot be decoded becomes one lone surrogate for each
    byte (PEP 383), so that a name with one is known not to have been read: see :func:`is_decoded`.
    """
    try:
        return text_decoder(charset, "")(data)
    except (UnicodeDecodeError, UnsupportedValueError):
        pass
    try:
        return data.decode(_CODECS.get(charset) or "ascii", "surrogateescape")
    except UnicodeDecodeError:  # not even where characters begin is known: nothing of it can be read
        return "\udc80" + data.decode("ascii", "surrogateescape")


def in_charset(text: str, charset: str) -> str:
    """A text as a server keeps it in a character set: with a ``?`` for each character that the set does not have.

    Raises:
        UnsupportedValueError: It is not known what the set has.
    """
    if text.isascii() or charset in ("utf8mb4", "utf16", "utf16le", "utf32"):
        return text
    if charset in ("utf8mb3", "ucs2"):
        return "".join(character if character <= "\uffff" else "?" for character in text)
    codec = "cp1252" if charset == "latin1" else _CODECS.get(charset)
    if codec is None or charset == "binary":
        raise UnsupportedValueError(f"what the character set {charset} has is not known")
    return text.encode(codec, "replace").decode(codec)


def is_like_utf8(text: str, charset: str) -> bool:
    """Whether the bytes of a statement in this character set are a text in UTF-8, too, and another one."""
    if text.isascii():
        return False
    codec = codec_of(charset)
    try:
        # What latin1 has and Windows-1252 has not are control characters of the same number.
        holes = {hole: 0xDC00 + hole for hole in _HOLES} if charset == "latin1" else {}
        text.translate(holes).encode(codec, "surrogateescape").decode("utf-8")
    except UnicodeError:
        return False
    return True


def is_decoded(text: str) -> bool:
    """Whether all of a text that :func:`decode_statement` gave is what its bytes say."""
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def _decode_latin1(data: bytes) -> str:
    """MySQL's latin1 is Windows-1252 with the five holes filled by control characters."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte in _HOLES else bytes((byte,)).decode("cp1252") for byte in data)


def _decode_eucjpms(data: bytes) -> str:
    """Python reads the tilde of JIS X 0212 as that of ASCII; 0x8F begins three bytes wherever it stands."""
    parts = (part.decode("euc_jp", _MORE_CHARACTERS["eucjpms"]) for part in data.split(b"\x8f\xa2\xb7"))
    return "\uff5e".join(parts).translate(_OTHER_CHARACTERS["eucjpms"])


def _more_of_euc_jp(error: UnicodeError, *, has_row_13: bool) -> tuple[str, int]:
    """Ten user-defined rows of 94 characters in two bytes and ten in three, and row 13 as NEC has it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    start, first = (error.start + 1, 0xE3AC) if error.object[error.start] == 0x8F else (error.start, 0xE000)
    pair = error.object[start : start + 2]
    if len(pair) == 2 and 0xA1 <= pair[1] <= 0xFE:
        row, cell = pair[0], pair[1] - 0xA1
        if 0xF5 <= row <= 0xFE:
            return chr(first + (row - 0xF5) * 94 + cell), start + 2
        if row == 0xAD and first == 0xE000 and has_row_13:
            return bytes((0x87, 0x40 + cell + (cell >= 63))).decode("cp932"), start + 2
    raise error


def _more_of_big5(error: UnicodeError) -> tuple[str, int]:
    """Seven characters of ETEN."""
    if isinstance(error, UnicodeDecodeError):
        pair = error.object[error.start : error.start + 2]
        if b"\xf9\xd6" <= pair <= b"\xf9\xdc":
            return pair.decode("cp950"), error.start + 2
    raise error


_MORE_CHARACTERS = {charset: f"deltaforge-{charset}" for charset in ("big5", "eucjpms", "ujis")}
"""Characters that the servers know and Python's codec does not: the error handler that decodes them."""
codecs.register_error(_MORE_CHARACTERS["big5"], _more_of_big5)
codecs.register_error(_MORE_CHARACTERS["eucjpms"], partial(_more_of_euc_jp, has_row_13=True))
codecs.register_error(_MORE_CHARACTERS["ujis"], partial(_more_of_euc_jp, has_row_13=False))

_HOLES = frozenset((0x81, 0x8D, 0x8F, 0x90, 0x9D))
