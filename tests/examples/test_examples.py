"""The examples run as they are, each within a limit of time, and show what they say."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **extra}


def run(*command: str, cwd: Path, stdin: str = "", **extra: str) -> str:
    """What an example prints."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(**extra),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def blocks(out: str) -> dict[str, list[str]]:
    """The lines below each question; the last one where a question is asked twice."""
    found = {}
    for block in out.split("? ")[1:]:
        question, *lines = block.splitlines()
        found[question] = lines
    return found


def test_notes_are_searched_and_followed(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles", reason="needs watchfiles")
    out = run(sys.executable, str(EXAMPLES / "notes_search.py"), cwd=tmp_path)
    first, last = out.index("kitchen.md"), out.rindex("? baking bread")
    assert first < out.index("garden.md") < last, "a new note is found"
    assert "kitchen.md" not in out[last:], "a removed note is not found"
    assert not list(tmp_path.iterdir()), "nothing is left in the working folder"


def test_notes_of_ones_own_folder(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles", reason="needs watchfiles")
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "may.txt").write_text("The cherry tree is in bloom.")
    program = str(EXAMPLES / "notes_search.py")
    out = run(sys.executable, program, "diary", cwd=tmp_path, stdin="cherry\n\n")
    assert "diary/may.txt:1" in out
    assert (tmp_path / "diary.mvdb").exists()


def test_answers_come_from_the_documents(tmp_path: Path) -> None:
    out = run(sys.executable, str(EXAMPLES / "local_rag.py"), cwd=tmp_path)
    answers = blocks(out)
    assert "tenant" in answers['What does "delete_tenant" do?'][0]
    assert any("howto-tenants.md" in line for line in answers['What does "delete_tenant" do?'])
    assert answers["Who won the football cup?"] == ["  The documents do not tell."]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Any]:
    """A client of the service, which runs as a process of its own."""
    httpx = pytest.importorskip("httpx", reason="needs httpx")
    for module in ("fastapi", "uvicorn"):
        pytest.importorskip(module, reason=f"needs {module}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "fastapi_service.py"), str(port)],
            cwd=tmp_path,
            env=environment(NOTES_FILE="service.mvdb"),
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    client.get("/openapi.json")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, (tmp_path / "log").read_text()
                    assert time.monotonic() < end
                    time.sleep(0.05)
            yield client
        process.terminate()
        process.wait(PATIENCE)
        assert "Traceback" not in (tmp_path / "log").read_text()
        assert (tmp_path / "service.mvdb").exists()
    finally:
        process.kill()
        process.wait()


def test_the_service_answers(service: Any) -> None:
    notes = {
        "boat": {"text": "Caulk the seams before painting.", "metadata": {"year": 2020}},
        "bread": {"text": "Bake the bread.", "metadata": {"year": 2024}},
    }
    for id, note in notes.items():
        assert service.put(f"/notes/{id}", json=note).status_code == 204
    assert service.get("/notes/boat").json()["text"] == notes["boat"]["text"]
    assert service.get("/search", params={"q": "paint the boat"}).json()[0]["id"] == "boat"
    filtered = {"q": "paint", "filter": '{"year": {"$gte": 2021}}'}
    assert [hit["id"] for hit in service.get("/search", params=filtered).json()] == ["bread"]
    assert len(service.get("/search", params={"q": "paint", "k": 1, "page": 1}).json()) == 1
    assert service.get("/facets/year").json() == [[2020, 1], [2024, 1]]
    assert service.delete("/notes/boat").status_code == 204
    assert service.delete("/notes/boat").status_code == 404
    assert service.get("/notes/boat").status_code == 404
    for params in (
        {"q": "x", "filter": "{"},
        {"q": "x", "filter": '{"$x": 1}'},
        {"q": "x", "k": 0},
    ):
        answer = service.get("/search", params=params)
        assert answer.status_code == 422
        assert answer.json()["detail"]
    assert service.put("/notes/x", json={"text": "a", "metadata": {"y": "\0"}}).status_code != 500


def test_the_notebook_runs(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    file = EXAMPLES / "first_look.ipynb"
    # In a process of its own: the client of kernels leaves threads and sockets to the interpreter.
    program = (
        "import nbclient, nbformat, sys\n"
        "notebook = nbformat.read(sys.argv[1], as_version=4)\n"
        "nbformat.validate(notebook)\n"
        "resources = {'metadata': {'path': sys.argv[2]}}\n"
        "client = nbclient.NotebookClient(notebook, resources=resources)\n"
        "nbformat.write(client.execute(), sys.argv[3])"
    )
    result = tmp_path / "executed.ipynb"
    run(sys.executable, "-c", program, str(file), str(EXAMPLES), str(result), cwd=tmp_path)
    executed = nbformat.read(result, as_version=4)
    assert nbclient is not None
    outputs = {cell.id: cell.outputs for cell in executed.cells if cell.cell_type == "code"}
    assert outputs["search"][0].text.splitlines()[0].endswith("paint the hull.")
    assert outputs["facets"][0].data["text/plain"].startswith("[('boats', 2)")
    kept = nbformat.read(file, as_version=4)
    assert all(not cell.get("outputs") for cell in kept.cells), "outputs are not kept in the tree"


def test_the_sidecar_of_an_application(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    command = f"{sys.executable} -m mvdb"
    assert " " not in sys.executable, "the example splits its command at spaces"
    out = run(node, str(EXAMPLES / "sidecar.mjs"), cwd=tmp_path, MVDB=command).splitlines()
    assert out[:2] == ["looking", "1 of 2"]
    assert "passages: 2" in out
    assert any(line.startswith("found: Caulk the seams") and "hull" in line for line in out)
    assert any(line.startswith("refused: invalid_input: k: ") for line in out)
    assert out[-2:] == ["ended early: cancelled", "exit code: 0"]
    assert not list(tmp_path.iterdir())


def test_examples_are_short_and_described() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = [path for path in EXAMPLES.iterdir() if path.suffix in (".py", ".mjs", ".ipynb")]
    assert len(files) >= 6
    for path in files:
        assert path.name in page, f"examples/README.md does not describe {path.name}"
        if path.suffix != ".ipynb":
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 120, path.name
