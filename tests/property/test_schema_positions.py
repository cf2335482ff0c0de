"""Whatever is read, read again or loaded from the catalog: each row has its own definition, and always the same version."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from deltaforge.schema.registry import SchemaRegistry
from deltaforge.storage.memory import MemoryStorage
from tests.schemas import T, definition_of, point_at

DEFINITIONS = [definition_of(name) for name in "abc"]


class Model:
    """A log of rows and DDL, one reader of it, and what the reader said of each row."""

    def __init__(self):
        self.log = MemoryStorage().log
        self.registry = SchemaRegistry(self.log, "acme", "s")
        self.rows = []  # the definition of each row, by position; None: a DDL without a row
        self.catalog = 0
        self.next = 0
        self.said = {}

    def write(self, definition, has_row):
        self.catalog = definition
        self.rows.append(definition if has_row else None)

    def read(self, count):
        for pos in range(self.next, min(self.next + count, len(self.rows))):
            if self.rows[pos] is not None:
                expected = DEFINITIONS[self.rows[pos]]
                version = self.registry.resolve(T, expected.signature, point_at(pos))
                version = version or self.registry.register(expected, point_at(pos))
                assert version.hash == expected.hash
                assert self.said.setdefault(pos, (version.version, version.sequence)) == (
                    version.version,
                    version.sequence,
                )
            self.next = pos + 1

    def replay(self, steps):
        self.next = max(0, self.next - steps)
        self.registry = SchemaRegistry(self.log, "acme", "s")

    def load(self, _):
        self.registry.record([DEFINITIONS[self.catalog]], point_at(len(self.rows)))


STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 2), st.booleans()),
    st.tuples(st.sampled_from(["read", "replay", "load"]), st.integers(1, 6)),
)


@given(st.lists(STEPS, max_size=60))
def test_each_row_has_its_own_definition_and_keeps_its_version(steps):
    model = Model()
    for verb, *arguments in steps:
        getattr(model, verb)(*arguments)
    model.read(len(model.rows))
    model.replay(len(model.rows))
    model.read(len(model.rows))
    versions = model.registry.versions(T)
    assert [version.version for version in versions] == list(range(1, len(versions) + 1))
    assert [version.sequence for version in versions] == sorted({version.sequence for version in versions})
    for earlier, later in itertools.pairwise(versions):
        assert model.registry.at_sequence(T, later.sequence - 1) == earlier


@given(st.lists(STEPS, max_size=60))
def test_versions_change_exactly_where_the_definition_does_when_no_catalog_is_read(steps):
    model = Model()
    for verb, *arguments in steps:
        if verb != "load":
            getattr(model, verb)(*arguments)
    model.read(len(model.rows))
    rows = [row for row in model.rows if row is not None]
    changes = sum(before != after for before, after in itertools.pairwise(rows))
    assert len(model.registry.versions(T)) == (changes + 1 if rows else 0)
