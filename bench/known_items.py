"""Is the one document found that a name or a number means? Made queries with one answer each.

    python -m bench.known_items                   # both collections
    python -m bench.known_items numbers --stem english

Two collections, made deterministically (of one version of Python):

- *identifiers*: the docstrings of Python's standard library, each under its full name and
  signature, and 300 of these names: bare (``copy_file_range``, ``base64.a85encode``) and in a
  question.
- *numbers*: 300 notes from a few templates, each about one error code, invoice, version or customer
  number, which differ from each other in a digit: bare and in a question. Beside them 32 everyday
  notes, each with a query of misspelt words, few of which stand in the notes.

Columns: success@1 (success@5 of typos), of all queries and of those with odd numbers: the constants
of the default were chosen on the even ones.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.corpora import Collection
from bench.hybrid import WAYS, answers, searchable
from bench.points import Points, parser
from bench.vectors import load_vectors
from mvdb.cli.stdlib import stdlib_records

N_ITEMS = 300
DEPTHS = {"typos": 5}
"""First hits that count, where they are not one."""


@dataclass(frozen=True)
class Items:
    """Documents (ids and texts), and by the name of a set its queries with the id of the answer."""

    name: str
    ids: list[str]
    texts: list[str]
    sets: dict[str, list[tuple[str, str]]]

    def collection(self) -> Collection:
        """All queries, as a collection whose query ids are "set/number"."""
        named = [
            (f"{name}/{number}", query, answer)
            for name, queries in self.sets.items()
            for number, (query, answer) in enumerate(queries)
        ]
        return Collection(
            name=self.name,
            ids=self.ids,
            texts=self.texts,
            query_ids=[name for name, _, _ in named],
            queries=[query for _, query, _ in named],
            qrels={name: {answer: 1} for name, _, answer in named},
        )


# ---- names of the standard library ----

NAME_QUESTIONS = (
    "what does {} do?",
    "How do I use {} in a program",
    "which arguments does {} take?",
    "Why does {} raise an exception?",
    "an example of {}",
    "when should I call {} and what does it return",
    "Is {} safe to use with threads?",
    "the meaning of the result of {}",
)


def identifiers() -> Items:
    """The standard library's docstrings, and names of it that one document defines."""
    records = {str(record.id): f"{record.id}\n{record.text}" for record in stdlib_records()}
    # A name means one document only if no other heading has it, be it in other capitals: neither
    # typing.final (typing.Final) nor a class whose methods are documents.
    parts = Counter(part for name in records for part in name.lower().split("."))
    heads = Counter(".".join(name.lower().split(".")[:2]) for name in records)
    bare = [
        (name.split(".")[-1], name)
        for name in records
        if parts[name.lower().split(".")[-1]] == 1 and _looks_like_code(name.split(".")[-1])
    ]
    full = [(name, name) for name in records if name.count(".") == 1 and heads[name.lower()] == 1]
    rng = random.Random(1)
    chosen = rng.sample(bare, N_ITEMS * 2 // 3) + rng.sample(full, N_ITEMS // 3)
    rng.shuffle(chosen)
    return Items(
        "known-identifiers",
        list(records),
        list(records.values()),
        {"names": chosen, "names in questions": _asked(chosen, NAME_QUESTIONS)},
    )


def _looks_like_code(name: str) -> bool:
    """Whether nobody would take a name for an English word."""
    inside = name[1:]
    return "_" in name.strip("_") or inside != inside.lower() or any(map(str.isdigit, name))


def _asked(items: Sequence[tuple[str, str]], questions: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (questions[number % len(questions)].format(item), answer)
        for number, (item, answer) in enumerate(items)
    ]


# ---- numbers ----

KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "E{}": (
        (
            "Error {} on the filling line: the operator restarted the controller and the pressure"
            " returned to normal.",
            "{} was reported by the night shift. The pump controller had lost its connection; a"
            " restart of the line helped.",
            "Maintenance log: error code {}, pressure too low at the second pump. Valve cleaned,"
            " controller restarted.",
        ),
        (
            "what did we do about error {} on the line?",
            "Has the pump failed with {} before",
            "cause of error code {}",
            "Who fixed {} and how was it fixed?",
        ),
    ),
    "INV-2026-{:05}": (
        (
            "Invoice {} to the Harbour Bakery, 40 sacks of flour, due in 30 days. Paid in full by"
            " transfer.",
            "Reminder sent for {}: the bakery has not paid for its flour. Second reminder after 14"
            " days.",
            "Credit note for invoice {}: two sacks of flour were damaged, the amount was reduced.",
        ),
        (
            "was invoice {} paid?",
            "When did we send the reminder for {}",
            "what was delivered with {} and why was the amount reduced?",
            "status of the invoice number {}",
        ),
    ),
    "4.{0[0]}.{0[1]}": (
        (
            "Release {}: faster start, fewer crashes when a file is missing, new icons for the"
            " toolbar.",
            "Version {} fixes the import of large files and a crash of the printer dialog.",
            "Notes for {}: the settings have moved, the old format of files is still read.",
        ),
        (
            "what changed in version {}?",
            "Does {} fix the crash of the printer dialog?",
            "release notes of {}",
            "can {} still read the old format?",
        ),
    ),
    "{}": (
        (
            "Customer {} called: the delivery was late again, she asks for a call back before"
            " noon.",
            "Call with customer number {} about the contract; he wants to cancel at the end of the"
            " year.",
            "{} moved to a new address; the contract and the newsletter go there from next month.",
        ),
        (
            "what did customer {} want?",
            "Did {} cancel the contract?",
            "new address of customer number {}",
            "when does {} expect our call back",
        ),
    ),
}
"""By the format of a number: templates of notes and of questions."""


def numbers() -> Items:
    """Notes full of near-identical numbers, and everyday notes that misspelt words look for."""
    rng = random.Random(2)
    texts: list[str] = []
    items: list[tuple[str, str]] = []
    asked: list[tuple[str, str]] = []
    each = N_ITEMS // len(KINDS)
    for kind, (notes, questions) in KINDS.items():
        for number in range(each):
            item = _number(kind, number)
            items.append((item, f"note {len(texts)}"))
            asked.append((rng.choice(questions).format(item), f"note {len(texts)}"))
            texts.append(rng.choice(notes).format(item))
    typos = []
    for text, query in EVERYDAY:
        typos.append((query, f"note {len(texts)}"))
        texts.append(text)
    order = rng.sample(range(N_ITEMS), N_ITEMS)
    return Items(
        "known-numbers",
        [f"note {number}" for number in range(len(texts))],
        texts,
        {
            "numbers": [items[i] for i in order],
            "numbers in questions": [asked[i] for i in order],
            "typos": typos,
        },
    )


def _number(kind: str, number: int) -> str:
    """The number-th number of a kind; most of its neighbours differ from it in one digit."""
    if kind.startswith("4."):
        return kind.format((number // 10, number % 10))
    first = {"E{}": 1210, "INV-2026-{:05}": 640, "{}": 482_130}[kind]
    return kind.format(first + number)


EVERYDAY = (
    ("The dishwasher leaks at the door; a new gasket is ordered.", "dishwaher leekage"),
    ("Grandmother's recipe for apple strudel, with raisins and rum.", "aple strudl recipie"),
    ("The bicycle has a flat tyre and the chain needs oil.", "bycicle flatt tyer"),
    ("Book the dentist for the children in March.", "dentits apointment"),
    ("The roof of the garden shed lets the rain in near the chimney.", "shedd rooff leeking"),
    ("Piano lessons are on Thursdays from September on.", "pianno lesons"),
    ("Passport expires in June, take new photographs.", "pasport expirey"),
    ("The cat needs its vaccination and a tablet against worms.", "vacination for teh kat"),
    ("Plant the tulips and daffodils before the first frost.", "tullips daffodills planting"),
    ("The car's inspection is due, the brakes squeal.", "car inspecton brekes"),
    ("Birthday party for Emma: balloons, lemonade, chocolate cake.", "birtday pary baloons"),
    ("The kitchen tap drips, buy a washer of half an inch.", "kichen tapp driping"),
    ("Flight to Lisbon on Friday, window seat, no luggage.", "flihgt to lisbonn"),
    ("The thermostat in the bedroom shows the wrong temperature.", "bedrom thermostatt"),
    ("Library books must be returned by Saturday.", "libary boks retrun"),
    ("Ask the landlord about the broken elevator.", "landlrod brokken elevater"),
    ("The printer is out of yellow toner.", "prnter yelow tonner"),
    ("Sourdough starter is fed with rye every morning.", "sourdouhg startr"),
    ("Tickets for the symphony orchestra, second balcony.", "orchestr symphny tikets"),
    ("The washing machine stops during the spin cycle.", "washng machin spining"),
    ("The neighbours keep bees and sell honey.", "nieghbours hony beess"),
    ("Yoga class was moved from Monday to Wednesday.", "yogga clas mooved"),
    ("The mattress arrives by truck next week.", "matress delivry"),
    ("Spectacles: new lenses against glare are ready at the optician.", "optitian lense glasess"),
    ("Swimming pool is closed for cleaning in August.", "swiming poool closd"),
    ("Gym membership ends in December unless we renew it.", "gymm membrship renewel"),
    ("The violin's bow needs new horsehair.", "violinn boww repare"),
    ("Tax return: receipts for the office chair and the desk.", "taks reciepts ofice chiar"),
    ("Tomatoes and cucumbers want more water in the greenhouse.", "tomatos cucmbers watring"),
    ("The umbrella was left in the restaurant at the harbour.", "umbrela forgoten restarant"),
    ("Firewood is stacked behind the barn, two cubic metres.", "firewod stak bahind barnn"),
    ("The wifi password hangs beside the router in the hallway.", "wify passwrod rooter"),
)
"""Notes, and what somebody types who looks for them."""

MAKERS: dict[str, Callable[[], Items]] = {"identifiers": identifiers, "numbers": numbers}


def success(items: Items, name: str, found: dict[str, list[str]]) -> list[float]:
    """Success of each query of a set, in order; `found`: answers by the query's id."""
    depth = DEPTHS.get(name, 1)
    return [
        float(answer in found[f"{name}/{number}"][:depth])
        for number, (_, answer) in enumerate(items.sets[name])
    ]


def rows(items: Items, folder: str, bits: int, stem: str | None) -> list[dict[str, Any]]:
    """A row for each way and set: success of all queries, and of the odd ones."""
    collection = items.collection()
    vectors = load_vectors(collection)
    made = []
    with searchable(Path(folder) / f"{items.name}.mvdb", collection, vectors, bits, stem) as db:
        for way in WAYS:
            found = answers(db, way, collection, vectors.queries(), range(len(collection.queries)))
            row: dict[str, Any] = {"way": way}
            for name in items.sets:
                each = success(items, name, found)
                row[name] = sum(each) / len(each)
                row[f"{name}, odd"] = sum(each[1::2]) / len(each[1::2])
            made.append(row)
    return made


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("collections", nargs="*", default=list(MAKERS), help=", ".join(MAKERS))
    options.add_argument("--bits", type=int, default=2)
    options.add_argument("--stem", help="language of the stemmer (default: none)")
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    for name in chosen.collections:
        items = MAKERS[name]()
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            title = f"{name}: {len(items.ids):,} documents"
            points.add(title, *rows(items, folder, chosen.bits, chosen.stem))
        points.show()


if __name__ == "__main__":
    main()
