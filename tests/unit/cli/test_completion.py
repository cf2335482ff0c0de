"""The completion script in a real bash."""

import argparse
import subprocess
import sys

import pytest

from deltaforge.cli import main, make_parser
from deltaforge.cli.completion import described

# what a line editor does when somebody presses tab at the end of the line
PRESS_TAB = r"""
deltaforge() { printf '%s\n' "$*" > called; printf '%s\n' shop 'shop two' orders; }
press_tab() {
  COMP_LINE=$1 COMP_POINT=${#1}
  read -ra COMP_WORDS <<< "${1//:/ : }"
  [[ $1 == *' ' ]] && COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _deltaforge
  printf '%s\n' "${COMPREPLY[@]}"
}
"""


@pytest.fixture(scope="module")
def script():
    command = [sys.executable, "-m", "deltaforge", "completion", "bash"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def offered(script, line, folder):
    """The words that bash offers after a line."""
    code = f"{script}\n{PRESS_TAB}\npress_tab '{line}'"
    done = subprocess.run(["bash", "-u", "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [word for word in done.stdout.splitlines() if word]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("deltaforge sta", ["status"]),
        ("deltaforge p", ["patch", "pause"]),
        ("deltaforge im", ["import-debezium"]),
        ("deltaforge import-debezium --worker my", ["my file.yaml"]),
        ("deltaforge status ", ["shop", "shop\\ two", "orders"]),
        ("deltaforge status sh", ["shop", "shop\\ two"]),
        ("deltaforge status --json o", ["orders"]),
        ("deltaforge status shop ", []),
        ("deltaforge dlq shop p", ["purge"]),
        ("deltaforge dlq --server http://h:80 shop p", ["purge"]),
        ("deltaforge tail --ta", ["--table"]),
        ("deltaforge tail --table ", []),
        ("deltaforge serve --storage-backend s", ["sqlite"]),
        ("deltaforge run ", ["a.yaml", "my file.yaml"]),
        ("deltaforge patch shop my", ["my file.yaml"]),
        ("deltaforge completion ", ["bash", "zsh", "fish"]),
        ("deltaforge fly ", []),
    ],
)  # fmt: skip
def test_bash_offers_what_can_follow(script, tmp_path, line, words):
    for name in ("a.yaml", "my file.yaml"):
        (tmp_path / name).touch()
    assert sorted(offered(script, line, tmp_path)) == sorted(words)


def test_names_are_asked_of_the_server_that_the_line_names(script, tmp_path):
    offered(script, "deltaforge status --server https://h:80/x --ca a.pem --json ", tmp_path)
    assert (tmp_path / "called").read_text().split() == [
        "list",
        "--names",
        "--server",
        "https://h:80/x",
        "--ca",
        "a.pem",
    ]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_every_verb_and_option(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    verbs = described(next(a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)))
    for name, verb in verbs.items():
        assert name in script
        for option in verb.options:
            assert option.lstrip("-") in script, f"{name} {option}"
