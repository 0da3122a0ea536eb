"""An application beside ``mvdb serve --stdio``."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
ENCODER = ("--encoder", "tests.serving.gated_encoder:make")


class Sidecar:
    """The process, and what it has answered. `gate` is the file that opens the encoder's gate."""

    def __init__(self, folder: Path, *arguments: str, stdout: int = subprocess.PIPE) -> None:
        self.folder, self.gate = folder, folder / "gate"
        self._errors = (folder / "stderr").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mvdb", "serve", "n.mvdb", "--stdio", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SERVING_GATE": str(self.gate)},
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=self._errors,
        )
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._early: list[dict[str, Any]] = []
        self._last_id = 0

    def _read(self) -> None:
        try:
            for line in self.process.stdout or ():
                self._answers.put(json.loads(line))
        finally:  # also behind a line that is no answer
            self._answers.put(None)

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method: str, *, as_id: Any = None, listen: bool = False, **params: Any) -> Any:
        """Sends a request; its id. listen: ask for progress."""
        self._last_id += 1
        id = self._last_id if as_id is None else as_id
        request = {"id": id, "method": method, "params": params}
        if listen:
            request["progress"] = True
        self.write(json.dumps(request).encode() + b"\n")
        return id

    def next(self) -> dict[str, Any]:
        """The next line, of whatever call."""
        if self._early:
            return self._early.pop(0)
        message = self._answers.get(timeout=PATIENCE)
        assert message is not None, f"ended, or no answer: {self.errors()}"
        return message

    def answer(self, id: Any) -> dict[str, Any]:
        """The answer of a call; others that come before it are kept."""
        kept = []
        while (message := self.next())["id"] != id or "progress" in message:
            kept.append(message)
        self._early = kept + self._early
        return message

    def call(self, method: str, **params: Any) -> Any:
        """The result of a call that must succeed."""
        message = self.answer(self.send(method, **params))
        assert "error" not in message, message
        return message["result"]

    def error(self, method: str, **params: Any) -> tuple[str, str]:
        """Code and message of a call that must fail."""
        message = self.answer(self.send(method, **params))
        assert "result" not in message, message
        return message["error"]["code"], message["error"]["message"]

    def errors(self) -> str:
        return (self.folder / "stderr").read_text(encoding="utf-8")

    def wait_for(self, words: str) -> None:
        """Waits until the words stand on standard error."""
        end = time.monotonic() + PATIENCE
        while words not in self.errors():
            assert time.monotonic() < end, self.errors()
            time.sleep(0.01)

    def end(self) -> list[dict[str, Any]]:
        """Ends the input, waits for the end of the process; the answers since."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0, self.errors()
        return self.rest()

    def rest(self) -> list[dict[str, Any]]:
        """What a process that has ended had answered, and nobody looked at."""
        self._reader.join(PATIENCE)
        messages = self._early
        while not self._answers.empty():
            message = self._answers.get()
            messages += [] if message is None else [message]
        return messages

    def __enter__(self) -> Sidecar:
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.touch()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
