"""docs/cli.md against the command line itself."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from deltaforge.cli import make_parser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
PARSER = make_parser()
VERBS = next(a for a in PARSER._actions if isinstance(a, argparse._SubParsersAction)).choices
COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(deltaforge .*)$", re.MULTILINE)


def commands(text):
    """The words of each command in the shell blocks of a page, up to a comment, a pipe or a redirection."""
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in COMMAND.findall(block):
            words = shlex.split(line, comments=True)
            ends = [n for n, word in enumerate(words) if word in ("|", ">", "&", "&&", ";")]
            yield words[1 : min(ends, default=len(words))]


def test_every_verb_has_a_section_with_an_example():
    sections = dict(re.findall(r"^### ([\w-]+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
    assert [verb for verb in VERBS if not any(words[0] == verb for words in commands(sections.get(verb, "")))] == []


@pytest.mark.parametrize("page", ["README.md", "docs/cli.md", "docs/snapshots.md"])
def test_every_command_of_a_page_is_understood(page):
    found = [words for words in commands((ROOT / page).read_text(encoding="utf-8")) if words[0] in VERBS]
    assert found
    for words in found:
        PARSER.parse_args(words)
