"""Answers questions from documents, with the passages it relied on; nothing leaves the machine.

    python local_rag.py [QUESTION ...]

The model is a stub that quotes: put llama-cpp-python, Ollama or another one in its place; all that
is needed is a function from a prompt to a text. The documents are mvdb's how-tos.

Needs: pip install mvdb-engine
"""

import re
import sys
import tempfile
from pathlib import Path

from small_encoder import choose

import mvdb

DOCUMENTS = sorted((Path(__file__).parent.parent / "docs").glob("howto-*.md"))
QUESTIONS = (
    "How do I cancel a long call?",
    'What does "delete_tenant" do?',
    "How many collections can a file hold?",
    "Who won the football cup?",
)
PROMPT = """\
Answer the question from the passages alone. Cite them by their numbers, such as [1].
If they do not contain the answer, say so.

{passages}

Question: {question}
Answer:"""


def passages(path: Path) -> list[tuple[str, str]]:
    """Paragraphs of a Markdown file, each below its heading, with a name for citations."""
    found, heading = [], path.stem
    for number, block in enumerate(path.read_text(encoding="utf-8").split("\n\n")):
        if block.startswith("#"):
            heading = block.splitlines()[0].strip("# ")
        elif len(block) > 60 and not block.startswith("```"):
            found.append((f"{path.name}#{number}", f"{heading}\n{block.strip()}"))
    return found


def build(db: mvdb.Database) -> None:
    for path in DOCUMENTS:
        ids, texts = zip(*passages(path), strict=True)
        db.upsert(list(ids), texts=list(texts), metadata=[{"file": path.name}] * len(ids))
    db.optimize()  # measures, among other things, what relevance means in this collection


def stub_model(prompt: str) -> str:
    """Stands in for a language model: quotes the sentence that shares most words with the
    question, and its number."""
    question = set(re.findall(r"\w+", prompt.rpartition("Question:")[2].lower()))
    numbered = re.findall(r"^\[(\d+)\] (.*?)(?=^\[\d+\] |^Question:)", prompt, re.M | re.S)
    sentences = [
        (len(question & set(re.findall(r"\w+", sentence.lower()))), -int(number), sentence)
        for number, text in numbered
        for sentence in re.split(r"(?<=[.:])\s+", text)
    ]
    _, number, sentence = max(sentences)
    return f"{' '.join(sentence.split())} [{-number}]"


def answer(db: mvdb.Database, question: str, model=stub_model) -> tuple[str, list[mvdb.Hit]]:
    """The answer and its sources; neither of them when the documents are about other things."""
    # Passages that differ: near-equal ones would take the prompt's room. Where all are below the
    # least relevance, a model would make something up, and is not asked.
    hits = db.search(question, k=4, min_relevance=0.5, diversity=0.3)
    if not hits:
        return "The documents do not tell.", []
    numbered = "\n".join(f"[{place}] {hit.text}" for place, hit in enumerate(hits, start=1))
    return model(PROMPT.format(passages=numbered, question=question)), hits


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        mvdb.open(Path(folder, "rag.mvdb"), encoder=choose()) as db,
    ):
        build(db)
        for question in sys.argv[1:] or QUESTIONS:
            text, sources = answer(db, question)
            print(f"? {question}\n  {text}")
            for place, hit in enumerate(sources, start=1):
                print(f"    [{place}] {hit.id}  {hit.relevance:.2f}")


if __name__ == "__main__":
    main()
