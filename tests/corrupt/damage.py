"""Ways to damage a file's bytes, each a pure function of a seed."""

from __future__ import annotations

import numpy as np

from tests.corrupt.specimens import Specimen

PAGE = 4096


def flip(specimen: Specimen, seed: int) -> bytes:
    """One bit. Every other one in the first bytes of a page, where LMDB's own structure is. Not in
    the transaction numbers of the meta pages: these have a test of their own."""
    rng = np.random.default_rng([seed, 10])
    data = bytearray(specimen.intact)
    at = int(rng.integers(len(data)))
    if rng.random() < 0.5:
        at = at // PAGE * PAGE + int(rng.integers(160))
    if at < 2 * PAGE and at % PAGE // 8 == 18:
        at += 8
    data[at] ^= 1 << int(rng.integers(8))
    return bytes(data)


def truncate(specimen: Specimen, seed: int) -> bytes:
    """Cut anywhere; every third time at the end of a page."""
    rng = np.random.default_rng([seed, 11])
    size = int(rng.integers(len(specimen.intact)))
    if rng.random() < 1 / 3:
        size = size // PAGE * PAGE
    return specimen.intact[:size]


def break_pages(specimen: Specimen, seed: int) -> bytes:
    """A page (or two, or a run) zeroed, exchanged, copied over another, filled with noise, filled
    with ones, or half written."""
    rng = np.random.default_rng([seed, 12])
    data = bytearray(specimen.intact)
    pages = len(data) // PAGE
    one, two = (int(page) * PAGE for page in rng.integers(pages, size=2))
    kind = int(rng.integers(6))
    if kind == 0:
        data[one : one + PAGE] = bytes(PAGE)
    elif kind == 1:
        first, second = data[one : one + PAGE], data[two : two + PAGE]
        data[one : one + PAGE], data[two : two + PAGE] = second, first
    elif kind == 2:
        data[one : one + PAGE] = data[two : two + PAGE]
    elif kind == 3:
        data[one : one + PAGE] = rng.bytes(PAGE)
    elif kind == 4:
        data[one : one + PAGE] = b"\xff" * PAGE
    else:
        torn = int(rng.integers(1, 8)) * 512
        data[one : one + torn] = bytes(torn)
    return bytes(data)


def stale_page(specimen: Specimen, seed: int) -> bytes:
    """A page as it was some commits ago: a lost write. Not a meta page: when that write is lost the
    commit has not happened, and nothing can tell that from a crash before it."""
    rng = np.random.default_rng([seed, 13])
    data = bytearray(specimen.intact)
    older = specimen.older[int(rng.integers(len(specimen.older)))]
    differing = [
        at
        for at in range(2 * PAGE, min(len(data), len(older)), PAGE)
        if data[at : at + PAGE] != older[at : at + PAGE]
    ]
    at = differing[int(rng.integers(len(differing)))]
    data[at : at + PAGE] = older[at : at + PAGE]
    return bytes(data)


KINDS = {"flip": flip, "truncate": truncate, "pages": break_pages, "stale": stale_page}
