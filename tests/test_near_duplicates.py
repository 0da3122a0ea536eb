"""Near-duplicates are told as their exact Jaccard similarity says, and what is left out resembles
something that was kept."""

from __future__ import annotations

import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mvdb
from mvdb.reading.near_duplicates import NearDuplicates

WORDS = [f"w{number}" for number in range(5000)]


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[place : place + 3]) for place in range(len(words) - 2)}


def jaccard(first: str, second: str) -> float:
    """The exact similarity of two texts of three words or more."""
    one, other = shingles(first), shingles(second)
    return len(one & other) / len(one | other)


def text_of(rng: random.Random, words: int = 120) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def changed(rng: random.Random, text: str, words: int) -> str:
    """A copy in which so many words are others."""
    made = text.split(" ")
    for place in rng.sample(range(len(made)), words):
        made[place] = "x" + made[place]
    return " ".join(made)


def pairs(changes: int, count: int, words: int = 120) -> list[tuple[float, bool]]:
    """Similarity of a text and its copy with so many changes, and whether the copy is known."""
    rng = random.Random(changes)
    found = []
    for _ in range(count):
        text = text_of(rng, words)
        copy = changed(rng, text, changes)
        seen = NearDuplicates(expected=10)
        assert not seen.is_known(text)
        found.append((jaccard(text, copy), seen.is_known(copy)))
    return found


def test_nearly_the_same_is_known() -> None:
    found = pairs(1, 200)
    assert min(similarity for similarity, _ in found) > 0.94
    assert all(known for _, known in found)


def test_at_the_threshold_about_half_is_known() -> None:
    near = [known for similarity, known in pairs(4, 400) if 0.79 < similarity < 0.83]
    assert len(near) > 100
    assert 0.35 < sum(near) / len(near) < 0.7


def test_other_texts_are_not_known() -> None:
    found = pairs(15, 200)
    assert max(similarity for similarity, _ in found) < 0.6
    assert sum(known for _, known in found) <= 2  # 0.6 is found by a chance of 0.008


def test_long_texts_are_compared_whole() -> None:
    """Hashing goes block by block: changes in a later block count as much as in the first."""
    rng = random.Random(1)
    text = text_of(rng, 5000)
    for half in (slice(0, 2500), slice(2500, 5000)):
        words = text.split(" ")
        words[half] = [f"x{word}" for word in words[half]]
        seen = NearDuplicates(expected=10)
        assert not seen.is_known(text)
        assert not seen.is_known(" ".join(words))
        assert seen.is_known(changed(rng, text, 20))


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9, 0.95, 1.0])
def test_the_threshold_parts_known_from_unknown(threshold: float) -> None:
    rng = random.Random(5)
    above, below = [], []
    for changes in [*range(12), 15, 20, 30, 50, 70]:
        for _ in range(8):
            text = text_of(rng, 200)
            copy = changed(rng, text, changes)
            seen = NearDuplicates(threshold, expected=10)
            seen.is_known(text)
            similarity = jaccard(text, copy)
            if similarity > min(threshold + 0.1, 0.9999):
                above.append(seen.is_known(copy))
            elif similarity < threshold - 0.2:
                below.append(seen.is_known(copy))
    assert sum(above) >= 0.9 * len(above) > 0
    assert sum(below) <= 0.1 * len(below)
    assert below


@given(st.lists(st.text(st.characters())), st.text(st.characters()))
def test_what_was_added_is_known(others: list[str], text: str) -> None:
    """Lone surrogates, blanks and texts shorter than a shingle are texts like others."""
    seen = NearDuplicates(expected=3)
    seen.is_known(text)
    for other in others:
        seen.is_known(other)
    assert seen.is_known(text)


def test_filters_grow_and_keep_their_promise() -> None:
    rng = random.Random(7)
    rate = 0.01
    seen = NearDuplicates(expected=100, false_positives=rate)
    memory = seen.memory
    texts = [text_of(rng) for _ in range(3000)]
    wrong = sum(seen.is_known(text) for text in texts)
    assert wrong <= 3000 * rate + 3 * math.sqrt(3000 * rate)  # three standard deviations
    assert len(seen) == 3000 - wrong
    assert all(map(seen.is_known, texts))
    assert len(seen) == 3000 - wrong  # what is known is not added
    assert memory < seen.memory < 80 * memory  # 31 first capacities, at lower and lower rates


def test_what_is_left_out_resembles_what_was_kept() -> None:
    """A chain in which each text is nearly the one before: its end has nothing of its beginning."""
    rng = random.Random(9)
    seen = NearDuplicates()
    text = text_of(rng, 200)
    kept: list[str] = []
    for _ in range(300):
        if seen.is_known(text):
            assert max(jaccard(text, one) for one in kept) > 0.5
        else:
            kept.append(text)
        text = changed(rng, text, 1)
    assert 10 < len(kept) < 100
    assert len(seen) == len(kept)


def test_letters_and_punctuation_do_not_count() -> None:
    seen = NearDuplicates()
    assert not seen.is_known("Permission is hereby granted, free of charge")
    assert seen.is_known("  permission is hereby\ngranted -- FREE of charge.")


def test_short_texts_are_compared_exactly() -> None:
    seen = NearDuplicates()
    for text in ("MIT License", "mit license", "License MIT", "", "---", "***"):
        assert not seen.is_known(text)
        assert seen.is_known(text)


def test_scripts_without_spaces_are_cut_by_character() -> None:
    rng = random.Random(11)
    text = "".join(map(chr, rng.sample(range(0x4E00, 0x9F00), 120)))
    seen = NearDuplicates()
    assert not seen.is_known(text)
    assert seen.is_known("龘" + text[1:])
    assert not seen.is_known(text[::-1])


def test_order_of_words_counts() -> None:
    words = text_of(random.Random(13)).split(" ")
    seen = NearDuplicates()
    assert not seen.is_known(" ".join(words))
    assert not seen.is_known(" ".join(reversed(words)))


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 0},
        {"threshold": 1.1},
        {"threshold": "0.8"},
        {"threshold": float("nan")},
        {"expected": 0},
        {"expected": 1.5},
        {"false_positives": 0.0},
        {"false_positives": 1.0},
        {"false_positives": None},
    ],
)
def test_bad_options_are_named(options: dict[str, object]) -> None:
    [name] = options
    with pytest.raises(mvdb.InvalidInputError, match=f"^{name}: "):
        NearDuplicates(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [None, b"bytes", 3])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(mvdb.InvalidInputError, match=r"^text: a string is needed"):
        NearDuplicates().is_known(text)  # type: ignore[arg-type]
