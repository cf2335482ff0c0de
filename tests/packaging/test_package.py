"""An sdist holds the tree, a wheel what is used, and both can be installed where nothing else is."""

import email
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.fixtures.fix_package import ROOT, clean_environment, new_environment, run, source_files

pytestmark = pytest.mark.timeout(900)  # packages are fetched, and the kernel is compiled
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel_names(built):
    with zipfile.ZipFile(built.wheel) as wheel:
        return wheel.namelist()


def test_the_sdist_is_the_tree(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if not archive.getmember(name).isdir()}
    made = {"PKG-INFO", "setup.cfg", "deltaforge/build.json"} | {
        name for name in names if name.startswith("deltaforge.egg-info/")
    }
    assert names - made == set(source_files())


def test_the_wheel_has_every_module_and_the_compiled_kernel(wheel_names):
    modules = {name for name in source_files() if re.fullmatch(r"(deltaforge|api|flows)/.*\.(py|pyi|typed)", name)}
    contents = {name for name in wheel_names if ".dist-info/" not in name}
    kernels = {name for name in contents if re.fullmatch(r"deltaforge/kernel/_compiled\..*\.so", name)}
    assert len(kernels) == 1
    assert contents - kernels >= modules
    # beside the modules only data that somebody listed, no sources of the kernel, no tests
    assert {Path(name).suffix for name in contents - kernels - modules} <= {".html", ".css", ".js", ".json", ".lark"}
    assert {"api/py.typed", "deltaforge/py.typed", "flows/py.typed"} <= contents


def test_licence_and_notice_are_in_the_wheel(built, wheel_names):
    licences = {Path(name).name for name in wheel_names if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}
    with zipfile.ZipFile(built.wheel) as wheel:
        text = wheel.read(next(name for name in wheel_names if name.endswith("/METADATA"))).decode()
    metadata = email.message_from_string(text)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier")


def test_the_notice_names_every_direct_dependency():
    notice = (ROOT / "NOTICE").read_text().lower()
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["demo"]]
    names = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in wanted}
    assert {name for name in names if not re.search(rf"^  {re.escape(name)} +\w", notice, re.MULTILINE)} == set()


def test_an_index_would_take_both(sdist, built):
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, built.wheel)


def test_the_environment_of_the_image_runs_without_the_tree(built, tmp_path):
    environment = clean_environment(PYTHONSAFEPATH="1")
    program = built.environment / "bin/deltaforge"
    assert "decoders: compiled" in run(program, "--version", folder=tmp_path, environment=environment)
    document = ROOT / "docs/examples/mysql-to-kafka.yaml"
    assert "valid" in run(program, "validate", document, folder=tmp_path, environment=environment)


def test_folders_of_the_user_hide_nothing_of_ours(built, tmp_path):
    """``bytewax.run`` looks into the current folder first, and ``python -m`` too."""
    for name in ("api", "flows"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('this is not DeltaForge')")
    programs = built.environment / "bin"
    serve = [programs / "deltaforge", "serve", "--api-addr", "nowhere"]
    flow = [programs / "python", "-m", "bytewax.run", "deltaforge.runtime.embedded:get_flow('missing.yaml')"]
    for command, said in ((serve, "nowhere"), (flow, "cannot read missing.yaml")):
        done = subprocess.run(
            command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False
        )
        assert (done.returncode != 0, said in done.stderr) == (True, True), done.stderr


@pytest.fixture
def open_folder():
    """Not one of pytest's: each run of it closes all of them to other users, and the server of root runs as another."""
    with tempfile.TemporaryDirectory(prefix="deltaforge-tests-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_the_wheel_runs_the_demo_in_an_empty_environment(built, tmp_path, open_folder):
    """What a new user does: no lock, no tree, nothing else installed. Everything that it announces is shown."""
    programs, environment = new_environment(tmp_path / "empty"), clean_environment(PIP_NO_COMPILE="1")
    run(programs / "pip", "install", "-q", f"{built.wheel}[demo]", folder=tmp_path, environment=environment)
    here = open_folder / "here"
    here.mkdir()
    # what is set for other servers of the user is not for this one
    environment |= {"DELTAFORGE_TOKEN": "t0ken", "TMPDIR": str(open_folder), "COLUMNS": "60"}
    done = subprocess.run(
        [programs / "deltaforge", "demo", "--steps", "300"],
        cwd=here, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    copied = done.stdout.index("copied: 105,000 rows of 2 tables\n")
    assert len(re.findall(r"copy +(?:customers|orders) ", done.stdout[:copied])) == 3
    assert done.stdout.index("the shop opens") > copied
    killed = re.search(r"kill -9 (\d+): the pipeline is dead", done.stdout)[1]
    restarted = re.search(r"restarted by the control plane: process (\d+), which goes on from lsn ", done.stdout)[1]
    assert killed != restarted
    announced = done.stdout.index("alter table orders add column priority")
    assert re.search(r"(insert|update) orders .*, priority=[012]\n", done.stdout[announced:])
    assert re.search(
        r"equal, nothing is lost: 5,\d+ customers, 100,\d+ orders, from 105,\d+ copied rows and \d+ changes",
        done.stdout,
    )
    assert "deltaforge init " in done.stdout
    assert list(here.iterdir()) == []
