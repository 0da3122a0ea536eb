"""Which slots belong to which tenant, from the keys of ids: against a loop over the keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.documents import ids as id_keys
from mvdb.errors import CorruptionError
from mvdb.segment.tenant_slots import TenantSlots


def joined(keys: list[bytes]) -> tuple[Any, memoryview]:
    ends = np.cumsum([0, *map(len, keys)]).astype(np.uint32)
    return ends, memoryview(b"".join(keys))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 0xFFFF, 0x1_0000, 0x1_0001, 0x2_FFFF, 0xFFFF_FFFF]),
            st.one_of(st.integers(0, 5), st.text("aé", min_size=1, max_size=3)),
        ),
        min_size=1,
        max_size=40,
    ),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_slots_of_tenants(pairs: list[Any], random: Any, ordered: bool) -> None:
    keys = [id_keys.tenant_prefix(number) + id_keys.encode(id) for number, id in pairs]
    order = None
    if ordered:
        order = np.array(random.sample(range(len(keys)), len(keys)), np.uint32)
    found = TenantSlots(*joined(keys), order, "a segment")
    rows = range(len(keys)) if order is None else order.tolist()
    live = np.array([row % 3 > 0 for row in rows], bool)
    assert found.numbers.tolist() == sorted({number for number, _ in pairs})
    for at, number in enumerate(found.numbers.tolist()):
        slots = [slot for slot, row in enumerate(rows) if pairs[row][0] == number]
        assert found.of(number).tolist() == slots
        assert found.counts(None)[at] == len(slots)
        assert found.counts(live)[at] == sum(live[slots])
    for number in (0, 3, 0x1_0002, 0xFFFF_FFFE):
        assert found.of(number).tolist() == []


@pytest.mark.parametrize(
    "key", [id_keys.encode(5), id_keys.encode("an id"), b"", b"\3", id_keys.tenant_prefix(1)]
)
def test_an_id_without_a_tenant_is_damage(key: bytes) -> None:
    good = id_keys.tenant_prefix(1) + id_keys.encode("a")
    with pytest.raises(CorruptionError, match="without a tenant"):
        TenantSlots(*joined([good, key, good]), None, "a segment")
    with pytest.raises(CorruptionError, match="without a tenant"):
        TenantSlots(*joined([good, key]), None, "a segment")
