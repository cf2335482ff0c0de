"""Numbers of JSON documents that a float does not hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Self


class WrittenNumber(Decimal):
    """A decimal that is written as a server wrote it, where ``str`` of the decimal would be another text of the
    same digits: ``0.00000001234567890123``, not ``1.234567890123E-8``.
    """

    __slots__ = ("_text",)

    _text: str

    def __new__(cls, text: str) -> Self:
        """The number of a JSON text."""
        self = super().__new__(cls, text)
        self._text = text
        return self

    def __str__(self) -> str:
        return self._text

    def __deepcopy__(self, memo: Any, /) -> Self:
        return self

    def __copy__(self) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self._text,)


def exact_number(text: str) -> Decimal:
    """The decimal whose ``str`` is this text.

    Raises:
        decimal.DecimalException: Its exponent is beyond that of a decimal.
    """
    value = Decimal(text)
    return value if str(value) == text else WrittenNumber(text)
