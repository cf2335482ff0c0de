"""Values of row images (contract 03 section 4, "ours") in the forms that records have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from deltaforge.core.json_text import encode_json
from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.writers import unscaled_bytes


def converted(conversion: Conversion, value: Any) -> Any:
    """A value that is neither null nor unchanged TOAST, in its form.

    Raises:
        ValueError: It does not fit; the message never holds the value.
    """
    form = conversion.form
    if form is Form.DECIMAL:
        return unscaled_bytes(Decimal(value), conversion.scale)
    if form is Form.JSON_TEXT:
        return encode_json(value).decode()
    return value
