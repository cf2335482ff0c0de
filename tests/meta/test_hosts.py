"""No host of a package repository stands in the project: where packages come from is the affair of each machine."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOSTS = re.compile(
    r"repo\d?\.maven|maven\.org|pypi\.org|pythonhosted\.|deb\.debian|security\.debian|archive\.ubuntu|ports\.ubuntu|registry\.npmjs"
    r"|proxy\.golang|sum\.golang|index\.crates|static\.crates|rubygems\.org|conda\.anaconda|packages\.confluent|--(?:extra-)?index-url"
)


def test_no_file_names_a_package_repository():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {}
    for name in listed.split("\0"):
        path = ROOT / name
        if not path.is_file() or path == Path(__file__):
            continue
        hosts = HOSTS.findall(path.read_bytes().decode(errors="ignore"))
        if hosts:
            found[name] = sorted(set(hosts))
    assert found == {}
