"""Work in a child process, which may have other limits, crash, or never end."""

from __future__ import annotations

import json
import os
import select
import signal
import traceback
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds."""


def in_child(work: Callable[[], list[str]], seconds: float = PATIENCE) -> list[str]:
    """What `work` returns in a forked child: what was wrong, a sentence each. A child that crashes
    or does not end in time is wrong, too."""
    receiver, sender = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(receiver)
        try:
            wrong = work()
        except BaseException:
            wrong = [traceback.format_exc()]
        os.write(sender, json.dumps(wrong)[:60_000].encode())
        os._exit(0)
    os.close(sender)
    try:
        answer = b""
        while select.select([receiver], [], [], seconds)[0]:
            part = os.read(receiver, 1 << 16)
            if not part:
                break
            answer += part
        else:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(receiver)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return list(json.loads(answer)) if status == 0 else [f"the child ended with {status}"]
