"""Builds the compiled kernel where a C++ compiler is; without one DeltaForge runs its Python decoders."""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

kernel = Extension(
    "deltaforge.protocol.kernel._compiled",
    ["deltaforge/protocol/kernel/_compiled.pyx"],
    language="c++",
    extra_compile_args=["-std=c++17", "-O3", "-g0", *os.environ.get("DELTAFORGE_CFLAGS", "").split()],
    extra_link_args=os.environ.get("DELTAFORGE_LDFLAGS", "").split(),
    optional=True,
)

setup(ext_modules=cythonize([kernel]))
