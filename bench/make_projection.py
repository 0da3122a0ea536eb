"""Make the projection of the default encoder, 384 to 128 dimensions.

    python -m bench.make_projection                   # writes mvdb/encoders/minilm_projection.npy
    python -m bench.make_projection --dim 96 --output other.npy

Principal axes of the unit token vectors (punctuation left out) of passages drawn from a collection
of ``$MVDB_DATA``. A new matrix makes new vectors: give ``DEFAULT_NAME`` in ``mvdb/encoders`` a new
value then.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.corpora import REPOSITORY, load_collection

OUTPUT = REPOSITORY / "mvdb" / "encoders" / "minilm_projection.npy"


def sample_texts(collection: str, count: int, seed: int) -> list[str]:
    """``count`` texts of the collection, drawn without replacement, in the collection's order."""
    texts = load_collection(collection).texts
    drawn = np.random.default_rng(seed).choice(len(texts), min(count, len(texts)), replace=False)
    return [texts[index] for index in sorted(drawn.tolist())]


def principal_axes(
    documents: list[NDArray[np.float32]], dim: int
) -> tuple[NDArray[np.float32], float]:
    """The (384, dim) float32 axes, by falling share of energy, and the share that they keep.

    The mean is not subtracted, neither here nor when encoding: MaxSim is a sum of dot products,
    which uncentred axes keep best, and without an offset the projection is one matrix. It matters
    little, as the mean's length is .10: nDCG@10 on NFCorpus (queries without punctuation, [CLS],
    [SEP]) is .341 uncentred, .341 with centred axes, .341 and .342 with the mean subtracted before
    projecting on those or these.
    """
    moment = np.zeros((documents[0].shape[1],) * 2, dtype=np.float64)
    for document in documents:
        rows = document.astype(np.float64)
        moment += rows.T @ rows
    energy, axes = np.linalg.eigh(moment)
    axes = axes[:, ::-1][:, :dim]
    # An eigenvector's sign is arbitrary; fixing it makes the matrix the same everywhere.
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(dim)]
    return (axes * np.sign(largest)).astype(np.float32), float(
        energy[::-1][:dim].sum() / energy.sum()
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="fit the projection of the default encoder")
    parser.add_argument("--collection", default="wiki-200k")
    parser.add_argument("--passages", type=int, default=4000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)

    from mvdb.encoders.minilm import MiniLMEncoder

    texts = sample_texts(options.collection, options.passages, options.seed)
    encoder: Any = MiniLMEncoder(projection=None)
    documents = encoder.encode_documents(texts)
    matrix, kept = principal_axes(documents, options.dim)
    np.save(options.output, matrix, allow_pickle=False)
    print(
        f"{options.output}: {matrix.shape} {matrix.dtype}, from {len(texts)} passages and"
        f" {sum(map(len, documents))} tokens; keeps {kept:.1%} of the energy"
    )


if __name__ == "__main__":
    main()
