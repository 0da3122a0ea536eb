"""From a `MultiVectorEncoder` to a database in three lines, and its heat maps from `explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
sentence_transformers = pytest.importorskip("sentence_transformers", minversion="6")

from sentence_transformers.multi_vector_encoder import interpretability  # noqa: E402

import mvdb  # noqa: E402
from mvdb import encoders  # noqa: E402
from mvdb.integrations.sentence_transformers import heatmap, similarity_map  # noqa: E402
from tests.integrations.tiny_model import save_model  # noqa: E402

TEXTS = {"a": "river stone", "b": "lamp bread lamp", "c": "stone bread river ."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_model(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return sentence_transformers.MultiVectorEncoder(
        str(folder), device="cpu", local_files_only=True
    )


def maxsim(model: Any, query: str, text: str) -> float:
    rows = model.encode_query(query, convert_to_numpy=True)
    columns = model.encode_document(text, convert_to_numpy=True)
    return float((rows @ columns.T).max(axis=1).sum())


def test_three_lines_from_a_model_to_answers(model: Any, tmp_path: Path) -> None:
    with mvdb.from_encoder(model, tmp_path / "a.mvdb", bits=8) as db:
        db.upsert(list(TEXTS), texts=list(TEXTS.values()))
        hits = db.search("river lamp", mode="dense")
        expected = {name: maxsim(model, "river lamp", text) for name, text in TEXTS.items()}
        assert {hit.id: hit.score for hit in hits} == pytest.approx(expected, abs=0.02)
        assert [hit.id for hit in hits] == sorted(expected, key=lambda name: -expected[name])


def test_the_file_knows_the_model_by_the_name_that_loading_gives_it(
    model: Any, folder: Path, tmp_path: Path
) -> None:
    with mvdb.from_encoder(model, tmp_path / "a.mvdb") as db:
        db.upsert("a", texts="river stone")
    loaded = encoders.load(folder)
    with mvdb.open(tmp_path / "a.mvdb", encoder=loaded) as db:
        assert db.stats().encoder == loaded.name == "tiny"
        assert db.search("river")[0].id == "a"


def test_an_encoder_is_taken_as_it_is(folder: Path, tmp_path: Path) -> None:
    encoder = encoders.load(folder)
    with mvdb.from_encoder(encoder, tmp_path / "a.mvdb") as db:
        db.upsert("a", texts="river stone")
        assert db.stats().encoder == encoder.name


def test_a_model_that_does_not_tell_its_name_needs_one(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.transformers_model.config, "name_or_path", "")
    with pytest.raises(mvdb.InvalidInputError, match="name: the model does not tell"):
        mvdb.from_encoder(model, tmp_path / "a.mvdb")
    assert not (tmp_path / "a.mvdb").exists()
    with mvdb.from_encoder(model, tmp_path / "a.mvdb", name="mine-1") as db:
        db.upsert("a", texts="river")
        assert db.stats().encoder == "mine-1"


@pytest.fixture
def page(tmp_path: Path) -> tuple[Any, Any, Any]:
    """A database with a document of 3 columns and 2 rows of patches, behind one other token; the
    query and the stored vectors."""
    rng = np.random.default_rng(3)
    query, document = rng.normal(size=(4, 8)), rng.normal(size=(7, 8))
    with mvdb.open(tmp_path / "p.mvdb", dim=8, bits=16) as db:
        db.insert("page", document)
        explanation = db.explain(query, "page")
        stored = torch.from_numpy(db.vectors("page")[0])
    unit = query / np.linalg.norm(query, axis=1, keepdims=True)
    return explanation, torch.from_numpy(unit.astype(np.float32)), stored


MASK = torch.tensor([False] + [True] * 6)


@pytest.mark.parametrize("normalize", [False, True])
def test_the_map_is_that_of_the_vectors(page: tuple[Any, Any, Any], normalize: bool) -> None:
    explanation, query, stored = page
    found = similarity_map(explanation, (3, 2), image_mask=MASK, normalize=normalize)
    expected = interpretability.maxsim_similarity_map(
        query, stored, (3, 2), image_mask=MASK, normalize=normalize
    )
    assert found.shape == (4, 2, 3)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("aggregate", ["sum", "amax", "none"])
def test_the_picture_is_theirs(page: tuple[Any, Any, Any], aggregate: Any) -> None:
    images = pytest.importorskip("PIL.Image")
    explanation, query, stored = page
    image = images.new("RGB", (60, 40), "white")
    found = heatmap(image, explanation, (3, 2), MASK, aggregate, alpha=0.7)
    expected = interpretability.maxsim_heatmap(
        image, query, stored, (3, 2), image_mask=MASK, aggregate=aggregate, alpha=0.7
    )
    pairs = zip(found, expected, strict=True) if aggregate == "none" else [(found, expected)]
    for one, other in pairs:
        assert one.size == (60, 40)
        difference = np.asarray(one).astype(int) - np.asarray(other).astype(int)
        assert np.abs(difference).max() <= 6  # of 255: a step of the colours


def test_another_number_of_patches_is_refused(page: tuple[Any, Any, Any]) -> None:
    with pytest.raises(ValueError, match="n_patches"):
        similarity_map(page[0], (3, 3))
