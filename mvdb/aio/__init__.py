"""The same database for asyncio: the names of `mvdb`, awaitable.

Calls that read run in a pool of threads, so that the event loop goes on. Everything that belongs to
a write transaction runs in one thread for each database. Arguments, results and errors are those of
the calls of `mvdb`, whose documentation holds, but for these:

- `open`, `transaction` and `snapshot` are awaited, or entered with ``async with``.
- `ids` and `documents` are asynchronous iterators, which find a malformed argument at their first
  step. `contains` stands for ``in``, `count` for `len`.
- Hits carry their text and metadata when they arrive (`fields=` chooses which): using a hit reads
  nothing.
- `progress` is called in the event loop.
- One task writes at a time. Another one waits for its turn as long as `timeout` says; a task that
  has a transaction open and asks for a second one gets BusyError.

Cancellation: a call that was cancelled before its thread began it does nothing. A call that reads,
and is running, ends unseen; a long one (those that take `cancel`) at its next check. Within a
transaction a cancelled call leaves the transaction open, and the end of the block rolls it back.
`commit` and `rollback` are carried through, also when they are cancelled meanwhile; so is a call
that writes in a transaction of its own, from its commit on.

A handle belongs to one event loop.
"""

from mvdb.aio.handles import Database, Snapshot, Transaction, open

__all__ = ["Database", "Snapshot", "Transaction", "open"]
