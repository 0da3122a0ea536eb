"""Term indexes: what is written is what is found, however it was written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb import core
from mvdb.errors import CorruptionError
from mvdb.lexical.term_index import TermIndex, TermIndexWriter
from tests.lexical.term_model import (
    InMemory,
    Model,
    Words,
    draw_documents,
    finish,
    index_of,
    read,
    word,
)


def postings(index: TermIndex, term: bytes) -> list[int]:
    """The rows that have a term."""
    return np.flatnonzero(index.containing(core.TermNames([term]))).tolist()


def check(index: TermIndex, documents: list[Words]) -> None:
    """The index has the rows, lengths, terms and postings of the documents, and no others."""
    model = Model(documents)
    assert index.n_rows == len(documents)
    assert index.n_tokens == model.lengths.sum()
    assert index.lengths is not None
    assert index.lengths.tolist() == model.lengths.tolist()
    terms = list(index.all_terms())
    assert dict(terms) == model.frequencies()
    assert terms == sorted(terms)
    for term, count in terms[:: max(1, len(terms) // 50)]:
        expected = [i for i, counts in enumerate(model.counts) if counts[term.decode()]]
        assert postings(index, term) == expected
        assert index.frequency(term) == count == len(expected)


@pytest.mark.parametrize("n", [1, 127, 128, 129, 1500])
@pytest.mark.parametrize("memory", [1, 100_000, 1 << 24])
def test_documents_come_back(tmp_path: Path, n: int, memory: int) -> None:
    """In one run, or in many that are merged."""
    documents = draw_documents(np.random.default_rng(n), n, 400, 40)
    check(index_of(tmp_path, documents, memory=memory), documents)


def test_runs_change_nothing(tmp_path: Path) -> None:
    """An index made in small memory has the same bytes as one made at once."""
    documents = draw_documents(np.random.default_rng(7), 4000, 3000, 60)
    made = []
    for memory in (200_000, 1 << 26):
        writer = TermIndexWriter(str(tmp_path), memory)
        for words in documents:
            writer.add_text(None if words is None else " ".join(words).encode())
        made.append((list(writer.extents()), writer.directory()))
        writer.close()
    assert made[0] == made[1]


def test_documents_without_words(tmp_path: Path) -> None:
    """No term, no extent, and nothing is found."""
    index = index_of(tmp_path, [None, [], None])
    assert (index.n_rows, index.n_tokens, index.n_extents) == (3, 0, 0)
    assert list(index.all_terms()) == []
    assert index.frequency(b"word") == 0
    assert index.prefixed(b"w", 5) == []
    assert postings(index, b"word") == []


def test_counts_and_lengths_saturate(tmp_path: Path) -> None:
    """A text of more words than 16 bits count is indexed all the same."""
    index = index_of(tmp_path, [["a"] * 70_000, ["a", "b"]])
    assert index.lengths is not None
    assert index.lengths.tolist() == [65_535, 2]
    assert index.frequency(b"a") == 2


def test_only_the_blocks_of_the_terms_are_read(tmp_path: Path) -> None:
    """Of many extents a lookup opens at most one for each term."""
    documents = draw_documents(np.random.default_rng(3), 2000, 3000, 50)
    writer = TermIndexWriter(str(tmp_path), 1 << 24, extent_bytes=1 << 12)
    for words in documents:
        writer.add_text(None if words is None else " ".join(words).encode())
    extents = list(writer.extents())
    stored = InMemory(extents)
    index = TermIndex(memoryview(writer.directory()), lambda _: stored, "the index")
    writer.close()
    assert len(extents) > 10
    assert not stored.opened
    index.frequency(word(5).encode())
    index.frequency(word(5).encode())
    assert len(stored.opened) == 1


@given(st.data())
def test_rows_of_other_indexes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Indexes are put together of rows of others, without the dropped ones, and of new texts."""
    folder = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 30), "seed"))
    writer = TermIndexWriter(str(folder), data.draw(st.sampled_from([1, 1 << 24]), "memory"))
    expected: list[Words] = []
    for kept in data.draw(
        st.lists(st.sampled_from([0.0, 0.1, 0.9, 1.0, -1.0]), min_size=1), "kept"
    ):
        documents = draw_documents(rng, int(rng.integers(1, 400)), 60, 30)
        if kept < 0:
            for words in documents:
                writer.add_text(None if words is None else " ".join(words).encode())
            expected += documents
        else:
            rows = np.flatnonzero(rng.random(len(documents)) < kept).astype(np.uint32)
            writer.add_rows(index_of(folder, documents), rows)
            expected += [documents[row] for row in rows]
    if not expected:
        writer.add_text(None)
        expected.append(None)
    check(finish(writer), expected)


def test_stems_share_a_list(tmp_path: Path) -> None:
    """Terms with one stem are one term; occurrences of both in a document add up."""
    documents = [["walk", "walked", "x"], ["walked"], ["walks", "walks"], ["sea"]] * 60
    seen: list[bytes] = []

    def stem(terms: list[bytes]) -> list[bytes]:
        seen.extend(terms)
        return [b"walk" if term.startswith(b"walk") else term for term in terms]

    plain = [["walk" if word.startswith("walk") else word for word in words] for words in documents]
    index = index_of(tmp_path, documents, stem=stem)
    check(index, [*plain])
    assert sorted(seen) == [b"sea", b"walk", b"walked", b"walks", b"x"]
    query = core.TermQuery(core.TermNames([b"walk"]), np.ones(1, np.float32), k1=1, b=0, average=1)
    places = np.zeros(2, core.PLACE)
    places["document"] = [0, 1]
    scores = query.score(core.TermList([index.view]), places)
    assert scores.tolist() == pytest.approx([2 / 3, 1 / 2])
    assert [term for term, _ in index_of(tmp_path, documents, memory=1, stem=stem).all_terms()] == [
        b"sea",
        b"walk",
        b"x",
    ]


def test_prefixes(tmp_path: Path) -> None:
    """The terms with a prefix, in order, up to a limit; over block borders too."""
    documents: list[Words] = [["p" + word(i)[1:] for i in range(500)], ["o", "q", "pab", "p"]]
    index = index_of(tmp_path, documents)
    every = sorted(Model(documents).frequencies().items())
    for prefix in (b"p", b"pb", b"pab", b"pabc", b"o", b"q", b"r", b"a", b"p" * 64, b"p" * 65):
        expected = [entry for entry in every if entry[0].startswith(prefix)]
        assert index.prefixed(prefix, 1000) == expected
        assert index.prefixed(prefix, 7) == expected[:7]


def test_memory_of_a_builder_is_counted() -> None:
    """`n_bytes` covers postings, terms and rows."""
    builder = core.TermBuilder()
    rng = np.random.default_rng(1)
    documents = draw_documents(rng, 500, 2000, 100)
    builder.add_texts([" ".join(words or ()).encode() for words in documents])
    n_postings = sum(len(counts) for counts in Model(documents).counts)
    assert builder.n_bytes > 12 * n_postings + 32 * builder.n_terms
    assert builder.n_rows == 500


# ---- damage ----


def stored(folder: Path) -> tuple[bytes, list[bytes]]:
    """Directory and extents of an index."""
    documents = draw_documents(np.random.default_rng(5), 700, 300, 30)
    writer = TermIndexWriter(str(folder), 1 << 24, extent_bytes=1 << 12)
    for words in documents:
        writer.add_text(None if words is None else " ".join(words).encode())
    extents = list(writer.extents())
    directory = writer.directory()
    writer.close()
    return directory, extents


def test_a_flipped_bit_in_a_block_is_found(tmp_path: Path) -> None:
    """At the first use of the block, by its checksum."""
    directory, extents = stored(tmp_path)
    rng = np.random.default_rng(2)
    for _ in range(50):
        damaged = [bytearray(extent) for extent in extents]
        extent = damaged[rng.integers(len(damaged))]
        extent[rng.integers(len(extent) - core.TERMS_SLACK)] ^= 1 << int(rng.integers(8))
        index = read(directory, [bytes(part) for part in damaged])
        with pytest.raises(CorruptionError, match=r"block \d+ is damaged"):
            index.check_all()


def test_a_damaged_directory_is_refused_or_harmless(tmp_path: Path) -> None:
    """Whatever a byte becomes: an error, or an index whose reading ends."""
    directory, extents = stored(tmp_path)
    refused = 0
    rng = np.random.default_rng(4)
    for at in [*range(40), *rng.integers(0, len(directory), 400).tolist()]:
        damaged = bytearray(directory)
        damaged[at] ^= int(rng.integers(1, 256))
        try:
            index = read(bytes(damaged), extents)
            index.check_all()
            index.frequency(word(5).encode())
        except CorruptionError:
            refused += 1
    assert refused > 50
    for size in range(0, len(directory), 97):
        with pytest.raises(CorruptionError):
            read(directory[:size], extents)


@pytest.mark.parametrize("weights", [False, True])
def test_few_rows_of_long_lists(tmp_path: Path, weights: bool) -> None:
    """Runs without a wanted row are passed over: lists of several runs, of whose rows few are
    kept, some of them at the ends of runs."""
    rng = np.random.default_rng(6)
    texts = [" ".join(word(t) for t in np.flatnonzero(rng.random(8) < 0.6)) for _ in range(900)]
    writer = TermIndexWriter(str(tmp_path), 1 << 24, weights=weights)
    for text in texts:
        if weights:
            names = [word.encode() for word in text.split()]
            writer.add_weights(names, np.arange(1, len(names) + 1, dtype=np.float32))
        else:
            writer.add_text(text.encode())
    whole = finish(writer)
    for kept in ([0], [899], [127, 128, 129], [5, 400, 401, 890], sorted({*range(0, 900, 97)})):
        few = TermIndexWriter(str(tmp_path), 1 << 24, weights=weights)
        few.add_rows(whole, np.array(kept, np.uint32))
        index = finish(few)
        index.check_all()
        wanted = Counter(word.encode() for row in kept for word in texts[row].split())
        assert dict(index.all_terms()) == dict(wanted)
        for term in wanted:
            has = index.containing(core.TermNames([term])).tolist()
            assert has == [term.decode() in texts[row].split() for row in kept]
