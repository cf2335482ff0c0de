"""What the SQLite backend does for a crash of the machine."""

from deltaforge.storage.sqlite import SqliteStorage


def test_what_is_registered_is_on_disk_before_the_call_returns(tmp_path):
    storage = SqliteStorage(tmp_path / "s.db")
    executed = []
    storage.kv._write.__self__._connection.set_trace_callback(executed.append)
    storage.kv.put("pipelines", "shop", b"{}")
    storage.kv.delete("pipelines", "shop")
    verbs = [statement.split()[0] if "pragma" not in statement else statement for statement in executed]
    full, usual = "pragma synchronous=full", "pragma synchronous=normal"
    assert verbs == [full, "insert", usual, "select", full, "delete", usual]
    storage.close()
