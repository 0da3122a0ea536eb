"""Which versions of a framework an adapter supports, and the one error for any other."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from mvdb.extras import major_minor, remedy


@dataclass(frozen=True)
class Requirement:
    """A distribution, from the version `lowest` on and below the version `below`."""

    extra: str
    distribution: str
    lowest: str
    below: str

    def check(self) -> None:
        """Raises ImportError when the distribution is missing, or has a version outside of the
        range; the message names the range and the extra."""
        needed = f"{self.distribution} >={self.lowest},<{self.below}"
        install = remedy(self.extra)
        adapter = f"mvdb.integrations.{self.extra.replace('-', '_')}"
        try:
            found = metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            raise ImportError(f"{adapter} needs {needed}, not installed: {install}") from None
        if not major_minor(self.lowest) <= major_minor(found) < major_minor(self.below):
            raise ImportError(f"{adapter} needs {needed}, found version {found}: {install}")


LANGCHAIN = Requirement("langchain", "langchain-core", "1.0", "2")
LLAMA_INDEX = Requirement("llama-index", "llama-index-core", "0.14", "0.15")
HAYSTACK = Requirement("haystack", "haystack-ai", "3.0", "4")
PYLATE = Requirement("pylate", "pylate", "1.6", "2")
SENTENCE_TRANSFORMERS = Requirement("sentence-transformers", "sentence-transformers", "6.0", "7")
MTEB = Requirement("mteb", "mteb", "2.26", "3")
TXTAI = Requirement("txtai", "txtai", "9.14", "10")
LLM = Requirement("llm", "llm", "0.27", "1")
