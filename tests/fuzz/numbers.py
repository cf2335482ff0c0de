"""Numbers as JSON may have them: of every length, sign and exponent, with zeros at both ends."""

import random


def number_text(rnd: random.Random) -> str:
    """One number of JSON's grammar."""
    whole = rnd.choice(("0", "0", digits(rnd, "123456789")))
    text = rnd.choice(("", "", "-")) + whole
    if rnd.random() < 0.7:
        text += (
            "."
            + "0" * rnd.choice((0, 0, 1, 4, 5, 6, 12, 30))
            + digits(rnd, "0123456789")
            + "0" * rnd.choice((0, 0, 1, 9))
        )
    if rnd.random() < 0.2:
        power = rnd.choice((0, 1, 5, 15, 16, 17, 22, 300, 308, 309, 324, 400, 999_999, 10**14, 10**17, 10**19))
        text += rnd.choice("eE") + rnd.choice(("", "+", "-")) + rnd.choice(("", "0")) + str(power)
    return text


def digits(rnd: random.Random, first: str) -> str:
    """At least one digit."""
    count = rnd.choice((1, 2, 3, 8, 14, 15, 16, 17, 18, 19, 20, 40, 500))
    return rnd.choice(first) + "".join(rnd.choices("0123456789", k=count - 1))


def document_text(rnd: random.Random) -> str:
    """A document with numbers at several depths."""
    texts = [number_text(rnd) for _ in range(3)]
    return rnd.choice(
        (f'{{"a": {texts[0]}, "b": [{texts[1]}, {{"c": {texts[2]}}}]}}', f"[{', '.join(texts)}]", texts[0])
    )
