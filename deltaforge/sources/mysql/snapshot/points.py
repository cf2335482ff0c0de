"""Values between two others of a key's first column, for dividing a range: guesses, which the server makes keys of.

How a server orders text is not known here. So a point need not lie between the two, and where points lie need not be
the order of the keys behind them: who asks lets the server say both.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from deltaforge.core.snapshot import Cursor
from deltaforge.protocol.mysql.charsets import codec_of
from deltaforge.sources.mysql.snapshot.keys import KeyColumn, Value

MORE = 4
"""So many times as many points as parts: several of them may lead to one key."""
_BYTES = 8
"""Of bytes, so many behind the common beginning are looked at."""
_CHARS = 4
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
_ALPHABETS = ("0123456789", "0123456789abcdef", "0123456789ABCDEF", _PRINTABLE)
"""Which of them a text is made of: numbers and hashes have none of the other characters."""
_UNICODE = frozenset({"utf8mb3", "utf8mb4", "utf16", "utf16le", "utf32"})
_SURROGATES = range(0xD800, 0xE000)
_EPOCH = datetime(1, 1, 1)  # noqa: DTZ001 - the server's values have no zone
_DAY_MICROS = 86_400_000_000
_DIGITS = 80


def points_between(column: KeyColumn, low: Value, high: Value, count: int) -> list[Value]:
    """Values that divide a range into about so many parts; several times as many where keys are not numbers.

    Args:
        column: Whose values they are.
        low: A value at one end of the range.
        high: At the other.
        count: Of parts.
    """
    if column.is_integer:
        first, last = sorted((int(low), int(high)))
        return [first + (last - first) * part // count for part in range(1, count)] if last - first >= count else []
    between = {"number": _numbers, "bytes": _bytes, "time": _times, "text": _texts}[column.kind]
    found = dict.fromkeys(between(column, str(low), str(high), count * MORE))
    return [value for value in found if value not in (low, high)]


def evenly(found: list[Cursor], count: int) -> list[Cursor]:
    """Of cursors in the order of the index, those that divide them into so many parts; all if there are no more."""
    if len(found) < count:
        return found
    return [found[part * (len(found) + 1) // count - 1] for part in range(1, count)]


def _numbers(_column: KeyColumn, low: str, high: str, count: int) -> Iterator[Value]:
    with localcontext() as context:
        context.prec = _DIGITS
        first, last = Decimal(low), Decimal(high)
        for part in range(1, count):
            value = first + (last - first) * part / count
            yield format(value.quantize(max(first, last, key=_scale)), "f")


def _scale(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _bytes(_column: KeyColumn, low: str, high: str, count: int) -> Iterator[Value]:
    first, last = bytes.fromhex(low), bytes.fromhex(high)
    prefix = _common(first, last)
    ends = [int.from_bytes(end[prefix : prefix + _BYTES].ljust(_BYTES, b"\0")) for end in (first, last)]
    for number in _spread(ends[0], ends[1], count):
        yield (first[:prefix] + number.to_bytes(_BYTES)).rstrip(b"\0").hex()


def _texts(column: KeyColumn, low: str, high: str, count: int) -> Iterator[Value]:
    codec = codec_of(column.charset)
    try:
        first, last = (bytes.fromhex(end).decode(codec) for end in (low, high))
    except UnicodeDecodeError:
        return
    if first > last:  # an order that does not look at the case
        first, last = first.lower(), last.lower()
    prefix = _common(first, last)
    ends = [end[prefix : prefix + _CHARS] for end in (first, last)]
    if column.charset in _UNICODE and all(end > _PRINTABLE[-1] for end in ends):
        codes = [ord(end[0]) for end in ends]
        texts = (chr(number) for number in _spread(codes[0], codes[1], count) if number not in _SURROGATES)
    else:  # of other sets it is not known which characters the server has
        alphabet = next((known for known in _ALPHABETS if set("".join(ends)) <= set(known)), _PRINTABLE)
        numbers = [_number(end, alphabet) for end in ends]
        texts = (_text(number, alphabet) for number in _spread(numbers[0], numbers[1], count))
    for text in texts:
        yield (first[:prefix] + text).rstrip().encode(codec).hex()


def _number(text: str, alphabet: str) -> int:
    """Where a text stands among those of an alphabet; characters that are not in it stand behind all others."""
    number = 0
    for char in text.ljust(_CHARS, alphabet[0]):
        place = alphabet.find(char)
        number = number * len(alphabet) + (len(alphabet) - 1 if place < 0 else place)
    return number


def _text(number: int, alphabet: str) -> str:
    chars = []
    for _ in range(_CHARS):
        number, rest = divmod(number, len(alphabet))
        chars.append(alphabet[rest])
    return "".join(reversed(chars))


def _times(_column: KeyColumn, low: str, high: str, count: int) -> Iterator[Value]:
    is_date = "-" in low[1:]
    first, last = (_moment(end) if is_date else _duration(end) for end in (low, high))
    has_time = ":" in low
    for micros in _spread(first, last, count):
        if not is_date:
            yield _printed(micros)
        else:
            moment = _EPOCH + timedelta(microseconds=micros)
            yield moment.isoformat(" ") if has_time else moment.date().isoformat()


def _moment(text: str) -> int:
    """Of a date or time of day of it, in microseconds; parts that are zero are the first ones."""
    date, _, time = text.replace("T", " ").partition(" ")
    year, month, day = (max(int(part), 1) for part in date.split("-"))
    days = (datetime(year, month, 1) - _EPOCH).days + day - 1  # noqa: DTZ001 - as above; what was never a date may be stored
    return days * _DAY_MICROS + (_duration(time) if time else 0)


def _duration(text: str) -> int:
    hours, minutes, seconds = text.lstrip("-").split(":")
    whole, _, fraction = seconds.partition(".")
    micros = (int(hours) * 3600 + int(minutes) * 60 + int(whole)) * 1_000_000 + int(fraction.ljust(6, "0"))
    return -micros if text.startswith("-") else micros


def _printed(micros: int) -> str:
    seconds, fraction = divmod(abs(micros), 1_000_000)
    return f"{'-' if micros < 0 else ''}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}"


def _common(first: bytes | str, last: bytes | str) -> int:
    """How long the beginning is that both have."""
    return next(
        (n for n, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), min(len(first), len(last))
    )


def _spread(first: int, last: int, count: int) -> Iterator[int]:
    low, high = sorted((first, last))
    return iter(dict.fromkeys(low + (high - low) * part // count for part in range(1, count)))
