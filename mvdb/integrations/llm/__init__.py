"""mvdb in `llm`, the command line for language models (extra `llm`): a tool with which a model
searches a file, and a loader of found documents as fragments. `llm` finds both by itself."""

from mvdb.integrations.requirement import LLM

LLM.check()

from mvdb.integrations.llm.llm_plugin import (  # noqa: E402
    Mvdb,
    register_fragment_loaders,
    register_tools,
)

__all__ = ["Mvdb", "register_fragment_loaders", "register_tools"]
