"""Which package a framework's tests need. A missing one is the one reason to skip them."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")

_MODULES = {
    "langchain": ("langchain_core", "langchain_tests"),
    "llama-index": ("llama_index.core",),
    "haystack": ("haystack",),
    "llm": ("llm",),
    "txtai": ("txtai",),
}


def need(extra: str) -> None:
    """Skips the calling module when the framework of an extra is not installed."""
    for module in _MODULES[extra]:
        pytest.importorskip(module, reason=f"{module} is not installed")
