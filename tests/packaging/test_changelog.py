"""CHANGELOG.md comes from fragments: a section of what is not released yet, and released ones that stay."""

from pathlib import Path

import pytest

from tests.fixtures.fix_package import ROOT, script


@pytest.fixture(scope="module")
def changelog():
    return script(ROOT / "changelog.d/changelog.py")


@pytest.fixture
def make(changelog, tmp_path):
    """``make(*options)`` writes the file of a temporary folder; returns its text below the head."""

    def run(*options):
        assert changelog.main(["--folder", str(tmp_path), "--file", str(tmp_path / "OUT"), *options]) == 0
        return (tmp_path / "OUT").read_text().removeprefix(changelog.HEAD).lstrip("\n")

    return run


def test_every_fragment_of_the_project_is_understood(changelog):
    found = changelog.fragments(ROOT / "changelog.d")
    assert sum(map(len, found.values())) == len(list((ROOT / "changelog.d").glob("*.md")))


def test_fragments_become_a_section_and_a_release_keeps_the_others(make, tmp_path):
    (tmp_path / "b.fixed.md").write_text("Mended.\nAlso this.\n")
    (tmp_path / "a.added.md").write_text("New.\n")
    unreleased = make()
    assert unreleased == "## Unreleased\n\n### Added\n\n* New.\n\n### Fixed\n\n* Mended.\n  Also this.\n"
    assert make() == unreleased
    released = make("--release", "0.2.0")
    assert released.startswith("## 0.2.0, 20")
    assert released.partition("\n")[2] == unreleased.partition("\n")[2]
    assert list(tmp_path.glob("*.md")) == []
    (tmp_path / "c.security.md").write_text("Closed.\n")
    assert make() == "## Unreleased\n\n### Security\n\n* Closed.\n\n" + released
    (tmp_path / "c.security.md").unlink()
    assert make() == "## Unreleased\n\n" + released


@pytest.mark.parametrize("name", ["a.md", "a.better.md", "A b.fixed.md", "a.fixed.md"])
def test_what_is_no_fragment_is_named(changelog, tmp_path, capsys, name):
    Path(tmp_path / name).write_text("" if name == "a.fixed.md" else "text")
    with pytest.raises(SystemExit):
        changelog.main(["--folder", str(tmp_path), "--file", str(tmp_path / "OUT")])
    assert name in capsys.readouterr().err
    assert not (tmp_path / "OUT").exists()
