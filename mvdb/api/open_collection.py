"""One collection of an open file, the unnamed one included, as all its handles share it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mvdb.api.levels import Levels
from mvdb.api.open_options import Options
from mvdb.documents import tenants
from mvdb.errors import CorruptionError
from mvdb.limits import Limits
from mvdb.search.prefetch import Prefetcher
from mvdb.search.query_pool import QueryPool
from mvdb.state import encoder_identity, settings
from mvdb.state.state_cache import StateCache
from mvdb.storage.environment import Environment, ReadTransaction
from mvdb.threads.workers import BUILDING
from mvdb.write.changes import Resources
from mvdb.write.maintenance import Maintenance
from mvdb.write.memory_budget import Budget
from mvdb.write.step_transactions import StepTransactions
from mvdb.write.turns import Turns


@dataclass(frozen=True)
class FileParts:
    """What the collections of an open file have in common: one budget of memory, one pool of
    queries, one order of turns among writers and maintenance."""

    path: Path
    readonly: bool
    in_background: bool
    limits: Limits
    budget: Budget
    queries: QueryPool
    prefetcher: Prefetcher
    turns: Turns

    @classmethod
    def of(cls, path: str, options: Options, limits: Limits) -> FileParts:
        """For a file that is opened with these options."""
        budget = Budget(options.memory)
        return cls(
            path=Path(path),
            readonly=options.readonly,
            in_background=options.background and not options.readonly,
            limits=limits,
            budget=budget,
            queries=QueryPool(budget.queries),
            prefetcher=Prefetcher(options.prefetch),
            turns=Turns(path, limits),
        )


class OpenCollection:
    """Environment, settings, state cache and maintenance of one collection. Thread-safe.

    `name` is None and `number` 0 for the unnamed one. `closed`: the reason why handles may not be
    used any more, or None."""

    def __init__(
        self,
        environment: Environment,
        file: FileParts,
        txn: ReadTransaction,
        name: str | None = None,
        number: int = 0,
    ) -> None:
        """txn: of the collection. Raises CorruptionError when settings disagree with encoder or ids
        in the file."""
        self.name = name
        self.number = number
        self.file = file
        self.environment = environment
        self.where = str(file.path) if name is None else f"{file.path}, collection {name!r}"
        self.settings = stored = settings.load(txn)
        identity = encoder_identity.load(txn)
        tenants.check(txn, separates=stored.tenants)
        if identity is not None and identity.dim != stored.dim:
            raise CorruptionError(
                f"{self.where}: encoder of {identity.dim} dimensions, the settings say "
                f"{stored.dim}; run mvdb.repair"
            )
        self.cache = StateCache(stored)
        self.levels = Levels(file.queries, file.prefetcher, file.limits)
        folder = str(file.path.absolute().parent)
        self.resources = Resources(
            stored, file.limits, file.budget, folder, BUILDING, self.levels.measure
        )
        self.steps = StepTransactions(environment, self.cache, self.resources, file.turns)
        self.maintenance = Maintenance(self.steps, in_background=file.in_background)
        self.closed: str | None = None

    def close(self, reason: str) -> None:
        """Ends maintenance and lets go of the file; waits for the step under way."""
        self.closed = reason
        self.maintenance.stop()
        self.environment.close()
        self.cache.clear()
