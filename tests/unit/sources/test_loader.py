import pytest

from deltaforge.sources import loader
from deltaforge.sources.loader import Loaded, reload, slow_load_warning
from tests.schemas import definition_of, memory_registry, point_at


def test_reload_says_of_each_table_what_became_of_it():
    registry = memory_registry()
    registry.record([definition_of("a"), definition_of("x", table="gone")], point_at(1))
    found = {("shop", "t"): definition_of("b"), ("shop", "u"): definition_of("c", table="u")}
    loaded = Loaded(found, {("shop", "w"): "type 'odd' is not known"}, point_at(5))
    answers = reload(registry, loaded, None)
    assert [(table.table, table.status, table.changed) for table in answers] == [
        ("gone", "missing", False), ("t", "ok", True), ("u", "ok", True), ("w", "error", False),
    ]  # fmt: skip
    assert answers[3].error == "type 'odd' is not known"
    assert [table.changed for table in reload(registry, loaded, [("shop", "t")])] == [False]
    assert registry.latest(("shop", "t")).version == 2


@pytest.mark.parametrize(("ms", "warnings"), [(199, 0), (201, 1)])
def test_a_slow_load_is_logged(monkeypatch, caplog, ms, warnings):
    times = iter([10.0, 10.0 + ms / 1000])
    monkeypatch.setattr(loader.time, "monotonic", lambda: next(times))
    with slow_load_warning("the whole catalog"):
        pass
    assert len(caplog.records) == warnings
