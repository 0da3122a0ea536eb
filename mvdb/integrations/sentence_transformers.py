"""sentence-transformers: its heat maps of image documents, from `mvdb.Database.explain`.

Needs sentence-transformers, extra `sentence-transformers`. The way from its `MultiVectorEncoder` to
a database is `mvdb.from_encoder`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mvdb.integrations.requirement import SENTENCE_TRANSFORMERS

SENTENCE_TRANSFORMERS.check()

import torch  # noqa: E402
from sentence_transformers.multi_vector_encoder import interpretability  # noqa: E402

from mvdb.types import Explanation  # noqa: E402

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["heatmap", "similarity_map"]


def similarity_map(
    explanation: Explanation,
    n_patches: tuple[int, int],
    image_mask: torch.Tensor | None = None,
    normalize: bool = False,
) -> torch.Tensor:
    """Their `maxsim_similarity_map`, of the stored vectors: the similarity of each query token with
    each patch of an image, float32 (m, rows, columns).

    Args:
        explanation: of `mvdb.Database.explain`, of a document whose vectors are those of the
            patches, row by row.
        n_patches: (columns, rows), as their `get_n_patches` gives them.
        image_mask: bool (n,), which of the document's vectors are patches; None: all.
        normalize: scale the map of each query token to 0..1.

    Raises ValueError when there are not columns * rows patches."""
    rows, patches = _as_embeddings(explanation)
    return interpretability.maxsim_similarity_map(
        rows, patches, n_patches, image_mask=image_mask, normalize=normalize
    )


def heatmap(
    image: Image | str,
    explanation: Explanation,
    n_patches: tuple[int, int],
    image_mask: torch.Tensor | None = None,
    aggregate: Literal["sum", "amax", "none"] = "sum",
    alpha: float = 0.5,
) -> Image | list[Image]:
    """Their `maxsim_heatmap`, of the stored vectors: the image with the similarities laid over it.

    Args:
        image: a picture, or its path or URL, which is loaded.
        explanation, n_patches, image_mask: as for `similarity_map`.
        aggregate: "sum" adds the similarities of the query tokens, "amax" takes the greatest,
            "none" gives a picture for each query token.
        alpha: opacity, 0..1.

    Raises ValueError as `similarity_map` does, and for another `aggregate`."""
    rows, patches = _as_embeddings(explanation)
    picture: Image | list[Image] = interpretability.maxsim_heatmap(
        image, rows, patches, n_patches, image_mask=image_mask, aggregate=aggregate, alpha=alpha
    )
    return picture


def _as_embeddings(explanation: Explanation) -> tuple[Any, Any]:
    """Vectors with the dot products of an explanation: its rows, and unit vectors."""
    scores = torch.from_numpy(explanation.scores.copy())
    return scores, torch.eye(scores.shape[1])
