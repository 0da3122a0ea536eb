"""Texts that are nearly the same, told without keeping them: LSHBloom (Khan et al., arXiv
2411.04257).

1. A text is the set of its shingles: runs of `SHINGLE` words, small letters, without punctuation. A
   text with fewer words is one shingle, the text as it is, so that it equals its copies alone.
2. MinHash (Broder 1997): of each of `_HASHES` hash functions the least value over the shingles. Two
   texts have the same value with the probability of their Jaccard similarity s, the shared shingles
   over all shingles of both.
3. The values are cut into bands of r. Two texts agree in one of b bands at least with the
   probability 1 - (1 - s^r)^b, which rises steeply near the threshold (Leskovec, Rajaraman and
   Ullman, Mining of Massive Datasets, ch. 3).
4. Each band has a Bloom filter of the values seen there. A text is known if one filter has its
   band.
5. A filter that is full is followed by one of twice the capacity and half the rate of false
   positives (scalable Bloom filters, Almeida et al. 2007).
"""

from __future__ import annotations

import math
import re
from functools import cache

import numpy as np
import xxhash
from numpy.typing import NDArray

from mvdb.arguments import number, whole_number
from mvdb.errors import InvalidInputError, shown
from mvdb.reading.blocks import UNSPACED

SHINGLE = 3
"""Words of a shingle."""
_HASHES = 256
_BLOCK = 1024
"""Shingles hashed at once: 1 MB for 256 functions."""
_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
"""Odd, without a pattern."""
_WORD = re.compile(f"[{UNSPACED}]|[^\\W{UNSPACED}]+")
_MOST_EXPECTED = 1 << 40

_Hashes = NDArray[np.uint64]
_Places = tuple[NDArray[np.intp], NDArray[np.uint8]]


class NearDuplicates:
    """Texts seen, to tell others that are nearly the same.

    Args:
        threshold: Jaccard similarity of the words' runs of three, above 0 to 1, from which on two
            texts are more often taken for nearly the same than not. 0.8: in a passage of 100 words
            4 have changed, each for itself.
        expected: texts that will be added, from 1; with more, further filters are made. The filters
            for so many take their memory now: `memory`.
        false_positives: greatest chance, above 0 and below 1, that the filters take a text for
            known by mistake, whatever its similarity.

    The same texts in the same order give the same answers on every machine. Not thread-safe.

    Raises:
        InvalidInputError: an argument is out of its range.
    """

    def __init__(
        self,
        threshold: float = 0.8,
        *,
        expected: int = 100_000,
        false_positives: float = 0.001,
    ) -> None:
        self.bands, self.rows = _bands(_share("threshold", threshold, 1.0))
        rate = _share("false_positives", false_positives, math.nextafter(1.0, 0.0))
        capacity = whole_number("expected", expected, 1, _MOST_EXPECTED)
        # The rates of all filters that follow each other, each half of the last, add up to `rate`.
        self._filters = [_BandFilters(self.bands, capacity, rate / 2)]
        functions = _functions(self.bands * self.rows)
        self._factors, self._offsets, self._weights = functions

    def is_known(self, text: str) -> bool:
        """Whether a text nearly the same was added before; one that is not known is added.

        A text that is known is not added: what is left out resembles a text that was added, not one
        that was left out itself.

        Raises:
            InvalidInputError: `text` is not a string.
        """
        if not isinstance(text, str):
            raise InvalidInputError(f"text: a string is needed, not {shown(text)}")
        keys = self._keys(_shingles(text))
        newest = self._filters[-1]
        if newest.is_full:
            newest = _BandFilters(self.bands, 2 * newest.capacity, newest.rate / 2)
            self._filters.append(newest)
        if any(filters.has_any(filters.places(keys)) for filters in self._filters[:-1]):
            return True
        places = newest.places(keys)
        if newest.has_any(places):
            return True
        newest.add(places)
        return False

    def __len__(self) -> int:
        """Texts added."""
        return sum(filters.count for filters in self._filters)

    @property
    def memory(self) -> int:
        """Bytes of the filters."""
        return sum(filters.memory for filters in self._filters)

    def _keys(self, shingles: NDArray[np.uint32]) -> _Hashes:
        """A (bands,) hash of each band's least values."""
        least = np.full(len(self._factors), np.iinfo(np.uint32).max, np.uint32)
        for first in range(0, len(shingles), _BLOCK):
            block = shingles[first : first + _BLOCK]
            # Multiply-shift without the shift (Dietzfelbinger 1996): the high bits decide.
            values = self._factors[:, None] * block + self._offsets[:, None]
            np.minimum(least, values.min(axis=1), out=least)
        weighted = (least * self._weights).reshape(self.bands, self.rows)
        return _mixed(weighted.sum(axis=1, dtype=np.uint64))


class _BandFilters:
    """A Bloom filter for each band, for `capacity` texts, of which a new text is found in one at
    least with a chance of `rate` when they are full."""

    def __init__(self, bands: int, capacity: int, rate: float) -> None:
        self.capacity = capacity
        self.rate = rate
        self.count = 0
        of_band = -math.expm1(math.log1p(-rate) / bands)
        bits = max(64, math.ceil(capacity * -math.log(of_band) / math.log(2) ** 2))
        self._bits = np.uint64(bits)
        self._probes = _mixed(
            np.arange(max(1, round(bits / capacity * math.log(2))), dtype=np.uint64)
        )
        self._bytes = np.zeros((bands, bits // 8 + 1), np.uint8)
        self._bands = np.arange(bands)[:, None]

    @property
    def is_full(self) -> bool:
        return self.count >= self.capacity

    @property
    def memory(self) -> int:
        return self._bytes.nbytes

    def has_any(self, places: _Places) -> bool:
        """Whether one band's filter has its key."""
        bytes, masks = places
        return bool((self._bytes[self._bands, bytes] & masks).all(axis=1).any())

    def add(self, places: _Places) -> None:
        bytes, masks = places
        # Not `|=`: of several bits in one byte it would keep the last.
        np.bitwise_or.at(self._bytes, (self._bands, bytes), masks)
        self.count += 1

    def places(self, keys: _Hashes) -> _Places:
        """Byte and bit of each probe of each band's key, (bands, probes) each."""
        # A hash for each probe: with double hashing, filters for 100 texts had twice their rate.
        bits = _mixed(keys[:, None] + self._probes) % self._bits
        masks = np.left_shift(1, (bits & np.uint64(7)).astype(np.uint8), dtype=np.uint8)
        return (bits >> np.uint64(3)).astype(np.intp), masks


def _share(name: str, value: float, most: float) -> float:
    """A number above 0, of at most `most`."""
    share = number(name, value)
    if not 0 < share <= most:
        limit = "to 1" if most == 1 else "and below 1"
        raise InvalidInputError(f"{name}: a number above 0 {limit} is needed, not {shown(value)}")
    return share


def _shingles(text: str) -> NDArray[np.uint32]:
    """A (n,) uint32 hash of each shingle, n >= 1."""
    words = _WORD.findall(text.lower())
    if len(words) < SHINGLE:
        words = [text]
    hashed = [xxhash.xxh3_64_digest(word.encode("utf-8", "surrogatepass")) for word in words]
    hashes = np.frombuffer(b"".join(hashed), "<u8").astype(np.uint64, copy=False)
    shingles = np.zeros(max(1, len(words) - SHINGLE + 1), np.uint64)
    for place in range(min(SHINGLE, len(words))):  # the order of the words counts
        shingles = shingles * _MULTIPLIER + hashes[place : place + len(shingles)]
    return _mixed(shingles).astype(np.uint32)


def _mixed(values: _Hashes) -> _Hashes:
    """Values whose bits each depend on all bits of the given ones (splitmix64, Steele et al.
    2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: _Hashes = values ^ (values >> np.uint64(31))
    return mixed


@cache
def _functions(count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32], _Hashes]:
    """Odd factors and offsets of the hash functions, and odd weights to sum up a band."""
    numbers = _mixed(np.arange(3 * count, dtype=np.uint64)).reshape(3, count)
    odd = numbers | np.uint64(1)
    return odd[0].astype(np.uint32), numbers[1].astype(np.uint32), odd[2]


@cache
def _bands(threshold: float) -> tuple[int, int]:
    """Bands and rows a band, at most `_HASHES` values in all, for which a pair of this similarity
    is found in half of the cases."""

    def found_by_half(bands: int, rows: int) -> float:
        return float((1 - 0.5 ** (1 / bands)) ** (1 / rows))

    choices = [(_HASHES // rows, rows) for rows in range(1, _HASHES + 1)]
    return min(choices, key=lambda choice: abs(found_by_half(*choice) - threshold))
