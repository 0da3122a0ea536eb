"""Salvage of the names of tenants.

1. Of the names that the pages still hold, old ones included, those of recovered documents count.
2. A number that two names claim has lost its name: pages of a transaction that was rolled back may
   hold one, and a wrong guess would show the documents of one tenant to another. The same holds for
   the smaller number of a name that has two.
3. Documents whose tenant has lost its name belong to a new tenant "lost tenant N" afterwards, for
   an administrator to look at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mvdb.documents import tenants
from mvdb.errors import CorruptionError
from mvdb.storage.environment import WriteTransaction


def copy_tenants(
    bodies: Iterable[tuple[bytes, memoryview]], txn: WriteTransaction, numbers: Collection[int]
) -> None:
    """Writes the names of these tenants into a new file, and the last number given."""
    found: dict[int, set[str]] = {number: set() for number in numbers}
    last = max(numbers, default=0)
    for key, body in bodies:
        number = int.from_bytes(body, "little")
        if key == tenants.PREFIX:
            last = max(last, min(number, tenants.MAX_NUMBER))
        elif number in found:
            try:
                found[number].add(tenants.name_of(key))
            except CorruptionError:
                continue
    named: dict[str, int] = {}
    for number, names in sorted(found.items()):
        if len(names) == 1:
            named[min(names)] = number
    for number in sorted(set(numbers) - set(named.values())):
        name = f"lost tenant {number}"
        while name in named:
            name += " "
        named[name] = number
    for name, number in named.items():
        tenants.store(txn, name, number)
    if last:
        tenants.store(txn, "", last)
