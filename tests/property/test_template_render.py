"""Templates never crash, and literal text stays as it is."""

from hypothesis import given
from hypothesis import strategies as st

from deltaforge.core.template import MAX_SEGMENTS, Template
from deltaforge.testing.fakes import make_event

EVENT = make_event(7, 16)
NAMES = st.text(st.characters(exclude_characters="${}.", exclude_categories=["Cs"]), min_size=1, max_size=5)
PATHS = st.one_of(
    st.sampled_from(["op", "source.table", "after.id", "ts_ms"]),
    st.lists(NAMES, min_size=1, max_size=MAX_SEGMENTS).map(".".join),
)


@given(st.text())
def test_any_text_parses_or_is_refused_with_a_place(text):
    try:
        Template.parse(text).render(EVENT, lambda _: "")
    except ValueError as error:
        assert "at character" in str(error)  # noqa: PT017 - both outcomes are right


@given(st.text(st.characters(exclude_characters="$")))
def test_text_without_paths_is_itself(text):
    template = Template.parse(text)
    assert template.is_static
    assert template.render(EVENT, str) == text


@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="$")), PATHS)))
def test_parts_are_rendered_one_by_one(parts):
    text = "".join(f"{literal}${{{path}}}" for literal, path in parts)
    expected = "".join(
        literal + Template.parse(f"${{{path}}}").render(EVENT, lambda path: f"<{path}>") for literal, path in parts
    )
    assert Template.parse(text).render(EVENT, lambda path: f"<{path}>") == expected
