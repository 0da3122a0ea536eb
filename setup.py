"""The compiled core and its abi3 tag; everything else stands in pyproject.toml."""

from setuptools import setup

setup(
    cffi_modules=["mvdb/_core_build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
