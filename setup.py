"""Builds the compiled kernel where a C++ compiler is; without one DeltaForge runs its Python decoders, unless
``DELTAFORGE_REQUIRE_KERNEL`` is set.

Notes in the package which commit it is of: of this checkout, or as ``DELTAFORGE_COMMIT`` and ``SOURCE_DATE_EPOCH`` say.
"""

import json
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from deltaforge.build import WRITTEN, of_git  # noqa: E402

kernel = Extension(
    "deltaforge.kernel._compiled",
    ["deltaforge/kernel/_compiled.pyx"],
    language="c++",
    extra_compile_args=["-std=c++17", "-O3", "-g0", *os.environ.get("DELTAFORGE_CFLAGS", "").split()],
    extra_link_args=os.environ.get("DELTAFORGE_LDFLAGS", "").split(),
)
IS_REQUIRED = os.environ.get("DELTAFORGE_REQUIRE_KERNEL", "") not in ("", "0")

LEFT_OUT = f"""
{"*" * 100}
WARNING: the compiled kernel of DeltaForge could not be built, see above. Rows will be decoded by Python,
which is several times slower. A C++17 compiler is needed (Debian: apt install g++).
DELTAFORGE_REQUIRE_KERNEL=1 makes this an error.
{"*" * 100}
"""


def note_build(package: Path) -> None:
    """Into the folder of a package that is being made. An sdist has it already."""
    package.mkdir(parents=True, exist_ok=True)
    if (HERE / "deltaforge" / WRITTEN).exists():
        shutil.copy2(HERE / "deltaforge" / WRITTEN, package)
        return
    build = of_git(HERE)
    if commit := os.environ.get("DELTAFORGE_COMMIT"):
        build = build._replace(commit=commit)
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        build = build._replace(date=datetime.fromtimestamp(int(epoch), UTC).isoformat())
    (package / WRITTEN).write_text(json.dumps(build._asdict()))


class BuildKernel(build_ext):
    """Says so loudly when the kernel is left out."""

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except Exception:
            if ext.optional:
                print(LEFT_OUT, file=sys.stderr)  # noqa: T201 - a build has no log
            raise


class BuildPython(build_py):
    """With the note in a wheel; not in an editable installation, which is the checkout."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            note_build(Path(self.build_lib, "deltaforge"))


class SourceArchive(sdist):
    """With the note, since it has no history."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        note_build(Path(base_dir, "deltaforge"))


extensions = cythonize([kernel])
for extension in extensions:
    extension.optional = not IS_REQUIRED  # Cython forgets it

setup(
    ext_modules=extensions,
    cmdclass={"build_ext": BuildKernel, "build_py": BuildPython, "sdist": SourceArchive},
)
