"""Whether the hub that models are downloaded from can be reached."""

from __future__ import annotations

import os
import socket
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

OFFLINE = "HF_HUB_OFFLINE"
"""The variable of the environment by which huggingface_hub looks at downloaded models alone, if it
is set before the import (its documentation, "Environment variables"). Without it, and without a
network, the hub tries each file of a model five times: 114 s for a name that it does not know."""
_SECONDS = 3.0
"""For a connection; with the look-up of the name, which has no limit of its own."""
_HUB = "https://huggingface.co"


def hub_host() -> str:
    """The name of the hub's machine."""
    return urlsplit(os.environ.get("HF_ENDPOINT") or _HUB).hostname or _HUB


def is_hub_reachable(seconds: float = _SECONDS) -> bool:
    """Whether the hub, or the proxy that leads to it, takes a connection within `seconds`."""
    address = urlsplit(os.environ.get("HF_ENDPOINT") or _HUB)
    proxy = getproxies().get(address.scheme)
    if proxy and not proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    reached, ended = threading.Event(), threading.Event()

    def connect() -> None:
        port = address.port or (80 if address.scheme == "http" else 443)
        try:
            with socket.create_connection((address.hostname or "", port), seconds):
                reached.set()
        except OSError:
            pass
        finally:
            ended.set()

    threading.Thread(target=connect, daemon=True).start()
    ended.wait(seconds)
    return reached.is_set()
