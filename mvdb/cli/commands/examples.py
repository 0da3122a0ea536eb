"""Command lines for the help of each command."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "index": (
        "mvdb index notes/ notes.mvdb",
        "mvdb index notes/ papers/ README.md notes.mvdb --prune",
        "mvdb export other.mvdb | mvdb index - notes.mvdb",
    ),
    "search": (
        "mvdb search notes.mvdb how long does bread rise",
        "mvdb search notes.mvdb 'bread \"wild yeast\"' -k 3",
        "mvdb search notes.mvdb --mode lexical -- bread -wheat",
    ),
    "similar": (
        "mvdb similar notes.mvdb notes/bread.md#1",
        "mvdb similar notes.mvdb notes/bread.md#1 --group-by path",
    ),
    "ls": (
        "mvdb ls notes.mvdb",
        "mvdb ls notes.mvdb notes/recipes",
    ),
    "show": (
        "mvdb show notes.mvdb notes/bread.md#1",
        "mvdb show notes.mvdb notes/bread.md#3 --context 1",
        "mvdb show notes.mvdb notes/bread.md",
    ),
    "count": (
        "mvdb count notes.mvdb",
        'mvdb count notes.mvdb --filter \'{"path": "notes/bread.md"}\'',
    ),
    "facets": (
        "mvdb facets notes.mvdb path",
        'mvdb facets notes.mvdb author.name --filter \'{"year": {"$gte": 2020}}\'',
    ),
    "list": (
        "mvdb list notes.mvdb --limit 50",
        "mvdb list notes.mvdb --order-by year --descending",
    ),
    "tenants": ("mvdb tenants shared.mvdb",),
    "info": (
        "mvdb info notes.mvdb",
        "mvdb info notes.mvdb --collection mail --json",
    ),
    "verify": (
        "mvdb verify notes.mvdb",
        "mvdb verify notes.mvdb --shallow",
    ),
    "optimize": ("mvdb optimize notes.mvdb",),
    "compact": (
        "mvdb compact notes.mvdb",
        "mvdb compact notes.mvdb --to small.mvdb",
    ),
    "backup": ("mvdb backup notes.mvdb copy.mvdb",),
    "repair": ("mvdb repair damaged.mvdb sound.mvdb",),
    "delete": (
        "mvdb delete notes.mvdb notes/bread.md",
        "mvdb delete notes.mvdb drafts/ --dry-run",
        'mvdb delete notes.mvdb --filter \'{"year": {"$lt": 2000}}\'',
    ),
    "import": (
        "mvdb import documents.jsonl notes.mvdb",
        "mvdb import documents.parquet notes.mvdb --text body --fields author,year",
        "mvdb import indexes/colbert notes.mvdb --from colbert --texts collection.tsv",
    ),
    "export": (
        "mvdb export notes.mvdb > notes.jsonl",
        "mvdb export notes.mvdb notes.parquet --vectors",
    ),
    "eval": (
        "mvdb eval notes.mvdb --queries queries.jsonl --qrels qrels.tsv",
        "mvdb eval --run-in other.run --qrels qrels.tsv --measures nDCG@10,R@100",
    ),
    "serve": (
        "mvdb serve notes.mvdb --stdio",
        "mvdb serve notes.mvdb --stdio --readonly --no-encoder",
    ),
    "mcp": (
        "mvdb mcp notes.mvdb",
        "mvdb mcp notes.mvdb --about 'My notes about baking; search here for recipes.'",
    ),
    "demo": (
        "mvdb demo",
        "mvdb demo 'split a path into folder and name'",
    ),
}
"""By the name of the command. Each line can be given as it is; tests parse them."""
