"""Clients without ``await``, and the threads that they run in."""

from __future__ import annotations

import threading
from typing import Any

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.sync.exchange import Exchange


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("cryptoproto")]


def client_of(
    exchange: Exchange, key: cp.PrivateKey, name: str = "alice", store: str | cp.Store | None = None, **options: Any
) -> sync.Client:
    options = {"protocol": cp.Protocol.V5} | options
    return sync.Client(
        exchange.url, client_id=name, private_key=key, server_key=exchange.public_key, store=store, **options
    )
