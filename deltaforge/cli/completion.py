"""``deltaforge completion``: a script for the shell, made from the command line's own description."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deltaforge.cli.tables import out

NAMES = "names"
FILES = "files"


@dataclass
class Verb:
    """What can follow a verb.

    Attributes:
        text: What it does.
        options: By name: what it means, and what its value may be. None: it has no value; else :data:`NAMES`,
            :data:`FILES`, words, or an empty text for anything.
        arguments: What each positional argument may be, as the values of options.
    """

    text: str
    options: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``completion``."""
    parser = verbs.add_parser("completion", help="print a completion script, see docs/cli.md")
    parser.add_argument("shell", metavar="SHELL", choices=tuple(_SCRIPTS), help="bash, zsh or fish")
    parser.set_defaults(verb=lambda args: _completion(args, verbs))


def described(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> dict[str, Verb]:
    """The verbs of a command line with everything that can follow them."""
    texts = {action.dest: action.help or "" for action in verbs._choices_actions}  # noqa: SLF001 - argparse has no other way
    found = {}
    for name, parser in verbs.choices.items():
        verb = found[name] = Verb(texts.get(name, ""))
        for action in parser._actions:  # noqa: SLF001 - as above
            if action.help == argparse.SUPPRESS:
                continue
            for option in action.option_strings:
                verb.options[option] = (_text(action, parser), None if action.nargs == 0 else _values(action))
            if not action.option_strings:
                verb.arguments.append(_values(action))
    return found


def _text(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    if not action.help:
        return ""
    formatter = parser._get_formatter()  # noqa: SLF001 - as above
    return formatter._expand_help(action)  # noqa: SLF001 - as above


def _values(action: argparse.Action) -> str:
    if action.choices is not None:
        return " ".join(map(str, action.choices))
    if action.metavar == "NAME":
        return NAMES
    return FILES if action.type is Path or action.metavar == "FILE" else ""


def _completion(args: argparse.Namespace, verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> int:
    out("\n".join(_SCRIPTS[args.shell](described(verbs))))
    return 0


def _bash(verbs: dict[str, Verb]) -> Iterator[str]:
    """One function: it looks at the words before the cursor and asks for what their verb wants next."""
    yield _BASH_HEAD
    first = shlex.quote(" ".join([*verbs, "--version"]))
    yield f"  [ ${{#words[@]}} -lt 3 ] && {{ _deltaforge_offer {first}; return; }}"
    yield "  before=${words[${#words[@]} - 2]}"
    yield "  case $verb in"
    for name, verb in verbs.items():
        valued = [option for option, (_, values) in verb.options.items() if values is not None]
        yield f"    {name}) options={shlex.quote(' '.join(verb.options))} valued={shlex.quote(' '.join(valued))};;"
    yield "  esac"
    yield "  case $verb:$before in"
    for name, verb in verbs.items():
        for option, (_, values) in verb.options.items():
            if values is not None:
                yield f"    {name}:{option}) _deltaforge_offer {shlex.quote(values)}; return;;"
    yield "  esac"
    yield _BASH_PLACE
    yield "  case $verb:$place in"
    for name, verb in verbs.items():
        for place, values in enumerate(verb.arguments):
            yield f"    {name}:{place}) _deltaforge_offer {shlex.quote(values)};;"
    yield "  esac\n}\ncomplete -F _deltaforge deltaforge"


def _zsh(verbs: dict[str, Verb]) -> Iterator[str]:
    """Zsh runs functions that were written for bash."""
    yield "autoload -U +X bashcompinit && bashcompinit"
    yield from _bash(verbs)


def _fish(verbs: dict[str, Verb]) -> Iterator[str]:
    names = " ".join(verbs)
    yield f"complete -c deltaforge -f\nset -l verbs {names}"
    for name, verb in verbs.items():
        yield f'complete -c deltaforge -n "not __fish_seen_subcommand_from $verbs" -a {name} -d {_fish_text(verb.text)}'
        seen = f'complete -c deltaforge -n "__fish_seen_subcommand_from {name}"'
        for option, (text, values) in verb.options.items():
            kind = "-l " + option[2:] if option.startswith("--") else "-s " + option[1:]
            yield f"{seen} {kind}{'' if values is None else _fish_values(values, is_option=True)} -d {_fish_text(text)}"
        for values in verb.arguments:
            if values:
                yield seen + _fish_values(values, is_option=False)


def _fish_values(values: str, *, is_option: bool) -> str:
    wanted = " -x" if is_option else ""
    if values == FILES:
        return " -r -F" if is_option else " -F"
    if values == NAMES:
        return f'{wanted} -a "(deltaforge list --names 2>/dev/null)"'
    return f"{wanted} -a {_fish_text(values)}" if values else wanted


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_BASH_HEAD = """\
# Completion of the deltaforge command.
_deltaforge_offer() {
  local IFS=$'\\n' name
  case $1 in
    files) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current"));;
    names)
      for name in $(deltaforge list --names "${server[@]}" 2>/dev/null); do
        case $name in "$current"*) COMPREPLY+=("$(printf %q "$name")");; esac
      done;;
    *) IFS=' '; COMPREPLY=($(compgen -W "$1" -- "$current"));;
  esac
}
_deltaforge() {
  # The words of the line itself: bash takes a URL for several.
  local line=${COMP_LINE:0:$COMP_POINT} current=${COMP_WORDS[COMP_CWORD]}
  local words=($line) verb before= options= valued= place=0 n server=()
  case $line in *' ') words+=('');; esac
  COMPREPLY=()
  verb=${words[1]}"""

_BASH_PLACE = """\
  case $current in -*) _deltaforge_offer "$options"; return;; esac
  for ((n = 2; n < ${#words[@]} - 1; n++)); do
    case " $valued " in
      *" ${words[n]} "*)
        case ${words[n]} in --server | --token-file | --ca | --cert | --key)
          server+=("${words[n]}" "${words[n + 1]}");; esac
        n=$((n + 1));;
      *) case ${words[n]} in -*) ;; *) place=$((place + 1));; esac;;
    esac
  done"""

_SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
