"""What the rules of the state machine draw."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.model import Id

IDS: list[Id] = [*range(-6, 14), *"abcdefgh", "1", "ä", "𝄞", "x" * 500]
ids = st.sampled_from(IDS)
id_lists = st.lists(ids, min_size=1, max_size=8, unique_by=lambda name: (type(name), name))
versions = st.integers(0, 5)
seeds = st.integers(0, 2**31)
