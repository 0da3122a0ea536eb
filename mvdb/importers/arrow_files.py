"""Parquet files, and data sets that Hugging Face's `datasets` saved to a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mvdb.errors import InvalidInputError
from mvdb.extras import pyarrow
from mvdb.importers.arrow_rows import arrow_source, rows_of
from mvdb.importers.choices import Choices, chosen_table
from mvdb.importers.source import Source, present, read_json, whole

_READ_BYTES = 1 << 20
_MAX_FILES = 1 << 16


def open_parquet(path: Path, choices: Choices) -> Source:
    """A Parquet file, read in batches of bounded size."""
    with _named(path):
        with _parquet(path) as file:
            schema, total = file.schema_arrow, int(file.metadata.num_rows)
            size = sum(
                file.metadata.row_group(group).total_byte_size
                for group in range(file.metadata.num_row_groups)
            )

        def batches() -> Iterator[Any]:
            with _named(path), _parquet(path) as file:
                for batch in file.iter_batches(batch_size=rows_of(size, total), use_threads=False):
                    batch.validate(full=True)
                    yield batch

        return arrow_source("parquet", schema, batches, total, choices, str(path))


def open_datasets(folder: Path, choices: Choices) -> Source:
    """A folder of `save_to_disk`: Arrow streams, listed in state.json. A folder with several
    splits has one such folder for each; the choice `table` names it."""
    splits = folder / "dataset_dict.json"
    part_of = f"the data set {folder}"
    if splits.is_file():
        names = read_json(splits, part_of)
        names = names.get("splits") if isinstance(names, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidInputError(f"{splits}: splits: a list of names is needed")
        folder = folder / _plain_name(chosen_table(names, choices.table, str(folder)), splits)
    elif choices.table is not None:
        raise InvalidInputError(f"{folder}: there are no splits; table= (--table) names one")
    files = _files(folder, part_of)
    info = folder / "dataset_info.json"
    total = None
    if info.is_file():
        splits_of = (read_json(info, part_of) or {}).get("splits")
        if isinstance(splits_of, dict) and len(splits_of) == 1:
            (only,) = splits_of.values()
            if isinstance(only, dict) and "num_examples" in only:
                total = whole(only["num_examples"], info, "num_examples", 0, 1 << 48)

    def batches() -> Iterator[Any]:
        for path in files:
            with _named(path), _stream(path) as reader:
                for batch in reader:
                    batch.validate(full=True)
                    yield batch

    with _named(files[0]), _stream(files[0]) as reader:
        schema = reader.schema
    return arrow_source("datasets", schema, batches, total, choices, str(folder))


def _files(folder: Path, part_of: str) -> list[Path]:
    """The data files of a split, all of them there."""
    state_path = folder / "state.json"
    state = read_json(state_path, part_of)
    entries = state.get("_data_files") if isinstance(state, dict) else None
    if not isinstance(entries, list) or not 0 < len(entries) <= _MAX_FILES:
        raise InvalidInputError(f"{state_path}: _data_files: a list of files is needed")
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in entries]
    if state.get("_indices_files"):
        raise InvalidInputError(
            f"{folder}: it selects rows of its files; save it anew with save_to_disk"
        )
    return [present(folder / _plain_name(name, state_path), part_of) for name in names]


def _plain_name(name: Any, place: Path) -> str:
    """A name without folders, from a file that is not trusted."""
    if not isinstance(name, str) or not name or Path(name).name != name or "\\" in name:
        raise InvalidInputError(f"{place}: {name!r:.80} is no name of a file in its folder")
    return name


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of pyarrow as InvalidInputError that names the file."""
    error_type = pyarrow().ArrowException
    try:
        yield
    except (error_type, OSError, EOFError) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        reason = " ".join(str(error).split())
        raise InvalidInputError(f"{path}: cannot be read as Arrow data ({reason:.200})") from None


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    with pyarrow("parquet").ParquetFile(path, buffer_size=_READ_BYTES, pre_buffer=False) as file:
        yield file


@contextmanager
def _stream(path: Path) -> Iterator[Any]:
    with pyarrow().memory_map(str(path)) as mapped, pyarrow("ipc").open_stream(mapped) as reader:
        yield reader
