"""Searches a folder of notes, and follows its changes while it runs.

    python notes_search.py FOLDER      asks for questions, until an empty one
    python notes_search.py             makes a folder, changes it, and shows what is found

Needs: pip install 'mvdb-engine[cli,watch]'
"""

import queue
import sys
import tempfile
import threading
from pathlib import Path

from small_encoder import choose

import mvdb
from mvdb import folders

NOTES = ("*.md", "*.txt")


def follow(db: mvdb.Database, folder: Path, stop: threading.Event, indexed: queue.Queue) -> None:
    """Indexes the folder at once, and again after each change of a note."""
    for report in folders.watch(db, folder, include=NOTES, stop=stop):
        indexed.put(report)


def show(db: mvdb.Database, question: str) -> None:
    print(f"? {question}")
    # One passage of each note. Reading never waits for the thread that indexes.
    for hit in db.search(question, k=3, group_by="path"):
        line = " ".join((hit.text or "").split())
        print(f"  {hit.score:.2f}  {hit.metadata['path']}:{hit.metadata['line']}  {line[:70]}")


def converse(db: mvdb.Database, folder: Path, indexed: queue.Queue) -> None:
    while question := input("question: "):
        show(db, question)


def demonstrate(db: mvdb.Database, folder: Path, indexed: queue.Queue) -> None:
    def wait_for(notes: int) -> None:
        while len(db.facets("path")) != notes:
            indexed.get(timeout=120)

    show(db, "baking bread")
    (folder / "garden.md").write_text("# Garden\n\nSow the carrots in April.\n")
    wait_for(3)
    show(db, "when are carrots sown?")
    (folder / "kitchen.md").unlink()
    wait_for(2)
    show(db, "baking bread")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        is_demonstration = len(sys.argv) < 2
        folder = Path(temporary, "notes") if is_demonstration else Path(sys.argv[1]).resolve()
        if is_demonstration:
            folder.mkdir()
            (folder / "kitchen.md").write_text("# Bread\n\nBake it at 240 degrees.\n")
            (folder / "boat.txt").write_text("Caulk the seams before painting the hull.\n")
        file = folder.with_suffix(".mvdb")  # beside the folder
        stop, indexed = threading.Event(), queue.Queue()
        with mvdb.open(file, encoder=choose()) as db:
            thread = threading.Thread(target=follow, args=(db, folder, stop, indexed))
            thread.start()
            try:
                indexed.get(timeout=600)
                (demonstrate if is_demonstration else converse)(db, folder, indexed)
            finally:
                stop.set()
                thread.join()


if __name__ == "__main__":
    main()
