import copy
import pickle
from decimal import Decimal

import pytest

from deltaforge.core.exact_number import WrittenNumber, exact_number
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.core.json_text import encode_json
from deltaforge.sensing.structure import NUMBER, kind_of

ODD = ["1E400", "0.00000012345678901234567890", "-1.50e-400", "0.0000000000"]


@pytest.mark.parametrize("text", [*ODD, "1.10", "12345678901234567890.5", "9" * 30])
def test_a_number_is_written_with_the_characters_that_it_was_made_of(text):
    assert str(exact_number(text)) == text
    assert exact_number(text) == Decimal(text)
    assert encode_json([exact_number(text)]) == f"[{text}]".encode()


@pytest.mark.parametrize("text", ODD)
def test_it_stays_so_in_copies(text):
    number = exact_number(text)
    pickled = pickle.loads(pickle.dumps(number))  # noqa: S301 - our own bytes
    for twin in (copy.deepcopy({"a": [number]})["a"][0], copy.copy(number), pickled):
        assert isinstance(twin, WrittenNumber)
        assert str(twin) == text
    assert kind_of(number) == NUMBER


def test_documents_are_read_and_written_again_as_they_were():
    text = '{"a":1E400,"b":[0.00000012345678901234567890,1.5],"c":12345678901234567890123}'
    assert encode_json(parse_json_exact(text)).decode() == text


def test_what_has_no_json_form_is_refused():
    with pytest.raises(ValueError, match="JSON form"):
        encode_json(object())
