"""Our client's connection to the responder."""

from __future__ import annotations

from pathlib import Path

import cryptoproto as cp

from .samples import CLIENT_ID

__all__ = ["connect_to"]


def connect_to(
    url: str,
    directory: Path,
    *,
    request_timeout: float = 10.0,
    protocol: cp.Protocol = cp.Protocol.V5,
    transport: cp.TransportKind = "picows",
    signer_threads: int = 2,
) -> cp.connect:
    """A connection of our client, with the keys in *directory*."""
    return cp.connect(
        url,
        client_id=CLIENT_ID,
        private_key=cp.PrivateKey.load(directory / "client.pem"),
        server_key=cp.PublicKey.load(directory / "server.pub"),
        protocol=protocol,
        transport=transport,
        request_timeout=request_timeout,
        signer_threads=signer_threads,
    )
