"""Our client's connection to the responder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cryptoproto as cp

from .samples import CLIENT_ID

__all__ = ["connect_to"]


def connect_to(url: str, directory: Path, **options: Any) -> cp.connect:
    """A connection of our client, with the keys in *directory*; with ``Protocol.V5`` unless *options* say otherwise."""
    arguments: dict[str, Any] = {
        "client_id": CLIENT_ID,
        "private_key": cp.PrivateKey.load(directory / "client.pem"),
        "server_key": cp.PublicKey.load(directory / "server.pub"),
        "protocol": cp.Protocol.V5,
        "transport": "picows",
    }
    return cp.connect(url, **(arguments | options))
