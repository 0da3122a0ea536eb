"""What a caller chooses of a source: a table, and which fields of a record are what."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

from mvdb.errors import InvalidInputError

IDS = ("id", "_id")
TEXTS = ("text",)
VECTORS = ("embeddings", "vectors", "vector")
METADATA, TENANT = "metadata", "tenant"


@dataclass(frozen=True)
class Choices:
    """See `mvdb.importers.open_source`. None: by default."""

    table: str | None = None
    id: str | None = None
    text: str | None = None
    vectors: str | None = None
    fields: tuple[str, ...] | None = None
    encode: bool = False

    def refuse_all_but(self, understood: Sequence[str], kind: str) -> None:
        """Refuses a choice that a kind of source does not have."""
        for field in fields(self):
            given = getattr(self, field.name)
            if given not in (None, False) and field.name not in understood:
                raise InvalidInputError(
                    f"{field.name}: a source of the kind {kind} has no such choice"
                )


@dataclass(frozen=True)
class Roles:
    """Which field of a record is what; None: there is none, and ids are the numbers of the rows.

    others: fields that become metadata; None: all without a role."""

    id: str | None
    text: str | None
    vectors: str | None
    metadata: str | None
    tenant: str | None
    others: tuple[str, ...] | None

    def metadata_names(self, names: Collection[str]) -> list[str]:
        """Fields of a record that become metadata."""
        if self.others is not None:
            return [name for name in self.others if name in names]
        taken = {self.id, self.text, self.vectors, *VECTORS}
        return [name for name in names if name not in taken]


def roles(
    names: Collection[str], choices: Choices, where: str, *, same_fields: bool = True
) -> Roles:
    """The roles of the fields `names`; same_fields: every record has these.

    A field `tenant` beside a field `metadata` names the tenant, as `mvdb export` writes it; alone
    it is metadata. Raises InvalidInputError for a field that is not there."""
    id = _one(names, choices.id, IDS, "id", where)
    text = _one(names, choices.text, TEXTS, "text", where)
    vectors = _one(names, choices.vectors, VECTORS, "vectors", where)
    metadata = METADATA if METADATA in names and choices.fields is None else None
    tenant = TENANT if metadata and TENANT in names else None
    others = () if metadata else choices.fields
    for name in others or () if same_fields else ():
        _one(names, name, (), "fields", where)
    if text is None and (vectors is None or choices.encode):
        found = ", ".join(map(repr, names)) or "none"
        needed = "texts to encode" if choices.encode else "vectors or texts"
        raise InvalidInputError(
            f"{where}: no {needed}: a field 'text' or 'embeddings' is needed, or name it with "
            f"text= or vectors= (--text, --vectors); found {found}"
        )
    return Roles(id, text, None if choices.encode else vectors, metadata, tenant, others)


def _one(
    names: Collection[str], chosen: str | None, usual: Sequence[str], what: str, where: str
) -> str | None:
    if chosen is not None and chosen not in names:
        found = ", ".join(map(repr, names)) or "none"
        raise InvalidInputError(f"{where}: {what}: there is no field {chosen!r}; found {found}")
    return chosen or next((name for name in usual if name in names), None)


def chosen_table(names: Sequence[str], choice: str | None, where: str) -> str:
    """The table of this name, or the only one.

    Raises InvalidInputError that names all of them."""
    if choice is not None and choice in names:
        return choice
    if choice is None and len(names) == 1:
        return names[0]
    found = ", ".join(sorted(names)) or "none"
    problem = f"there is no {choice!r}" if choice else "name one with table= (--table)"
    raise InvalidInputError(f"{where}: {problem}; its tables or collections: {found}")
