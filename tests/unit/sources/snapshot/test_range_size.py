"""How many pages of a PostgreSQL table a chunk is."""

from deltaforge.sources.postgres.snapshot.plan import Leaf, Place
from deltaforge.sources.postgres.snapshot.range_size import RangeSize

LEAF = Leaf(1, "public", "t", 1, 1000, 40.0, 8000.0)


def pages(size, low, max_rows=10_000):
    return size.stop(low, max_rows, 64 << 20).page - low.page


def test_the_end_of_a_table_says_nothing_of_how_many_rows_a_page_has():
    size = RangeSize(LEAF)
    low = Place(0, 990)
    assert pages(size, low) == 250
    size.note(low, Place(0, 1000), 400, 80_000, 64 << 20)  # ten pages were left
    assert pages(size, Place(0, 0), 1000) == 25
    size.note(Place(0, 1200), Place(0, 1000), 0, 0, 64 << 20)  # the table has become shorter
    assert pages(size, Place(0, 0), 1000) == 25
