"""`mvdb.reading.read`: what it takes, what it refuses, and blocks that are read as asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mvdb
from mvdb.errors import InvalidInputError
from mvdb.reading import Block, Cutting, Reading, Unreadable, cut, formats, read, register_reader

TEXT = "# Bread\n\nFlour, water, salt.\n"


@pytest.fixture(autouse=True)
def own_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers that a test registers are taken back."""
    for table in ("_OF_TEXT", "_OF_BYTES"):
        monkeypatch.setattr(formats, table, dict(getattr(formats, table)))


def test_paths_texts_bytes_and_open_files_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "bread.md"
    path.write_text(TEXT)
    expected = [("# Bread", 1, ("Bread",)), ("Flour, water, salt.", 3, ("Bread",))]
    with path.open() as text, path.open("rb") as raw:
        sources: list[tuple[Any, str | None]] = [
            (path, None),
            (text, None),
            (raw, None),
            (TEXT, "x.md"),
            ("\ufeff" + TEXT.replace("\n", "\r\n"), "x.md"),
            (TEXT.encode(), "x.md"),
            (bytearray(TEXT.encode("utf-16")), "x.md"),
            (memoryview(TEXT.encode()), "x.md"),
            (io.StringIO(TEXT), "x.md"),
            (io.BytesIO(TEXT.encode()), "x.md"),
        ]
        for source, name in sources:
            document = read(source, name=name)
            assert [(b.text, b.line, b.trail) for b in document.blocks] == expected
            assert (document.title, document.note) == ("Bread", "")
    assert [b.text for b in read(path, name="bread.c").blocks] == ["# Bread", "Flour, water, salt."]
    assert [b.text for b in mvdb.reading.read(TEXT).blocks] == ["# Bread", "Flour, water, salt."]
    assert list(read("").blocks) == list(read(b"").blocks) == []


def test_a_guessed_encoding_is_noted() -> None:
    text = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 3
    document = read(text.encode("cp1251"))
    assert document.note == "read as cp1251, a guess"
    assert [b.text for b in document.blocks] == [text.strip()]


@pytest.mark.parametrize("source", [5, None, ["a"], object(), {}, io])
def test_other_sources_are_refused(source: Any) -> None:
    with pytest.raises(InvalidInputError, match="source: "):
        read(source)


@pytest.mark.parametrize("name", [5, b"a.md", ["a.md"], True])
def test_other_names_are_refused(name: Any) -> None:
    with pytest.raises(InvalidInputError, match="name: "):
        read("text", name=name)


def test_a_path_given_as_text_is_not_read_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.md"
    path.write_text(TEXT)
    with pytest.raises(InvalidInputError, match=r"pathlib.Path\(...\)"):
        read(str(path))
    assert [b.text for b in read(str(path), name="a.txt").blocks] == [str(path)]
    assert [b.text for b in read("not a file").blocks] == ["not a file"]


def test_texts_that_are_none() -> None:
    with pytest.raises(InvalidInputError, match="character 1 is a lone surrogate"):
        read("a\ud800")
    with pytest.raises(InvalidInputError, match="no format of text: give bytes"):
        read("text", name="a.pdf")
    with pytest.raises(InvalidInputError, match="the path of no file"):
        read(Path("a\0b"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\x7fELF\0\0")
    for path, kind in (("a.txt", "binary"), ("none.txt", "gone"), ("", "special")):
        with pytest.raises(Unreadable) as caught:
            read(tmp_path / path)
        assert caught.value.kind == kind
        assert isinstance(caught.value, (mvdb.Error, ValueError))


def test_a_reader_of_ones_own_gives_blocks_or_a_reading() -> None:
    register_reader(".mine", lambda text: [Block(text.upper(), 1, 1)])
    assert [b.text for b in read("a", name="x.MINE").blocks] == ["A"]
    found = Reading([Block("b", 1, 1)], note="odd", metadata={"k": 1}, title="T")
    register_reader(".mine", lambda data: found, binary=True)
    document = read(b"", name="x.mine")
    assert (document.title, document.note, document.metadata) == ("T", "odd", {"k": 1})
    assert [b.text for b in document.blocks] == ["b"]


@pytest.mark.parametrize("suffix", ["txt", ".", ".a.b", "", 5, None])
def test_suffixes_that_are_none(suffix: Any) -> None:
    with pytest.raises(InvalidInputError, match="suffix: "):
        register_reader(suffix, lambda text: [])


def test_arguments_of_register_reader() -> None:
    with pytest.raises(InvalidInputError, match="reader: "):
        register_reader(".mine", "read")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="binary: "):
        register_reader(".mine", lambda text: [], binary="yes")  # type: ignore[arg-type]
    assert read("a", name="x.mine").blocks


def test_blocks_are_read_as_they_are_asked_for_and_again() -> None:
    given: list[int] = []

    def reader(text: str) -> Iterator[Block]:
        for number in range(1, 1001):
            given.append(number)
            yield Block(f"word {number}", number, number)

    register_reader(".mine", reader)
    document = read("", name="x.mine")
    assert len(given) < 100
    first = [block.line for block in document.blocks]
    assert first == [block.line for block in document.blocks] == list(range(1, 1001))


def test_a_failure_on_the_way_names_the_reason() -> None:
    def reader(text: str) -> Iterator[Block]:
        yield from (Block("word", number, number) for number in range(1, 101))
        raise ZeroDivisionError("oh no")

    register_reader(".mine", reader)
    document = read("", name="x.mine")
    with pytest.raises(Unreadable, match="ZeroDivisionError: oh no") as caught:
        list(cut(document.blocks))
    assert caught.value.kind == "failed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("size", value) for value in (0, -1, True, 2.5, "3", None, 100_001)),
        *(("most", value) for value in (119, True, 2.5, None, 100_001)),
        *(("overlap", value) for value in (-1, 61, True, 0.5, None)),
    ],
)
def test_sizes_that_are_none(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"^{name}: "):
        Cutting(**{name: value})


@pytest.mark.parametrize("cutting", [120, {"size": 120}, "small"])
def test_cutting_of_another_kind(cutting: Any) -> None:
    with pytest.raises(InvalidInputError, match="cutting: "):
        cut([], cutting)
