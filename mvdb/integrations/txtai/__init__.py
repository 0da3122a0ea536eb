"""mvdb in txtai (extra `txtai`): a scoring method."""

from mvdb.integrations.requirement import TXTAI

TXTAI.check()

from mvdb.integrations.txtai.txtai_scoring import MvdbScoring  # noqa: E402

__all__ = ["MvdbScoring"]
