"""Clients of the responder: ours, and the straightforward one."""

from __future__ import annotations

from pathlib import Path

import cryptoproto as cp

from ..baselines.client import BaselineClient, Handler, WebSocket
from .samples import CLIENT_ID

__all__ = ["baseline_over", "client_of", "connect_to"]


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


def client_of(url: str, directory: Path, store: cp.Store) -> cp.Client:
    """Our client with *store*, and the keys in *directory*."""
    return cp.Client(
        url,
        store=store,
        client_id=CLIENT_ID,
        private_key=cp.PrivateKey.load(directory / "client.pem"),
        server_key=cp.PublicKey.load(directory / "server.pub"),
        protocol=cp.Protocol.V5,
        transport="picows",
    )


async def baseline_over(websocket: WebSocket, directory: Path, handler: Handler) -> BaselineClient:
    """The straightforward client over *websocket*, after its handshake with the keys in *directory*."""
    client = BaselineClient(websocket, handler)
    key = cp.PrivateKey.load(directory / "client.pem")
    await client.handshake(CLIENT_ID, key, cp.PublicKey.load(directory / "server.pub"))
    return client
