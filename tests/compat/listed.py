"""The form of the list of differences."""

from typing import NamedTuple

ANY = ".*"
MYSQL, MARIADB, POSTGRES = "(mysql|mariadb) .*", "mariadb .*", "postgres.*"
IMAGE = r"value[.](payload[.])?(before|after)[.]"
FIELDS = r"(value|key)[.]schema[.]fields[.]((before|after)[.]fields[.])?"


class Listed(NamedTuple):
    """``places`` are where it is seen: patterns over source and case, topic, path, what they say and what we say."""

    what: str
    theirs: str
    ours: str
    why: str
    places: tuple[tuple[str, str, str, str, str], ...]


def column(sources: str, table: str, name: str) -> tuple[tuple[str, str, str, str, str], ...]:
    """Whatever is said of a column: in values, in schemas beside them and in registered ones."""
    topic = rf"server[.][^.]+[.]{table}(-value|-key)?"
    return (
        (sources, topic, IMAGE + name + ANY, ANY, ANY),
        (sources, topic, FIELDS + name + ANY, ANY, ANY),
        (sources, topic, rf"subject.*fields[.]{name}.*|(key|value)[.]schema[.]fields.*fields[.]{name}.*", ANY, ANY),
        (sources, topic, r".*\(order\)", rf".*{name}.*|.*", rf".*{name}.*"),
    )
