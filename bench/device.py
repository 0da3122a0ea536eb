"""The device under a file: what it has read so far, and how many small reads it can do a second."""

from __future__ import annotations

import json
import mmap
import os
import random
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

DEPTH = 64
BLOCKS = (4096, 8192, 16384)


class Reads(NamedTuple):
    """Counts since some moment.

    `requests`: reads the device completed, whoever asked for them (/proc/diskstats), None where the
    file is on no device of its own. `bytes`: what this process had the device read
    (/proc/self/io)."""

    requests: int | None
    bytes: int

    def since(self, before: Reads) -> Reads:
        """What has been read since then."""
        requests = None
        if self.requests is not None and before.requests is not None:
            requests = self.requests - before.requests
        return Reads(requests, self.bytes - before.bytes)


def reads_so_far(path: str) -> Reads:
    """The counts at this moment, for the device that holds the file."""
    number = os.stat(path).st_dev
    wanted = [str(os.major(number)), str(os.minor(number))]
    requests = None
    for line in Path("/proc/diskstats").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if fields[:2] == wanted:
            requests = int(fields[3])
    own = dict(
        line.split(": ") for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    )
    return Reads(requests, int(own["read_bytes"]))


def read_rate(path: str, block: int, seconds: float) -> float:
    """Random direct reads a second of `block` bytes in the file, `DEPTH` at a time."""
    if shutil.which("fio") is not None:
        return _fio(path, block, seconds)
    return _threads(path, block, seconds)


def tool() -> str:
    """What `read_rate` measures with."""
    return "fio" if shutil.which("fio") is not None else "threads"


def _fio(path: str, block: int, seconds: float) -> float:
    line = [
        "fio",
        "--name=reads",
        f"--filename={path}",
        "--readonly",
        "--rw=randread",
        "--direct=1",
        f"--bs={block}",
        "--ioengine=libaio",
        f"--iodepth={DEPTH}",
        f"--runtime={seconds}",
        "--time_based",
        "--norandommap",
        "--output-format=json",
    ]
    done = subprocess.run(line, stdout=subprocess.PIPE, check=True)
    return float(json.loads(done.stdout)["jobs"][0]["read"]["iops"])


def _threads(path: str, block: int, seconds: float) -> float:
    """As fio, by threads that read one block at a time each."""
    blocks = max(1, os.stat(path).st_size // block)
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    end = time.monotonic() + seconds

    def work(seed: int) -> int:
        choose, count = random.Random(seed), 0
        with mmap.mmap(-1, block) as buffer:  # direct reads need a buffer on a page's boundary
            while time.monotonic() < end:
                os.preadv(file, [buffer], choose.randrange(blocks) * block)
                count += 1
        return count

    try:
        start = time.monotonic()
        with ThreadPoolExecutor(DEPTH) as pool:
            total = sum(pool.map(work, range(DEPTH)))
        return total / (time.monotonic() - start)
    finally:
        os.close(file)
