"""Connecting to NATS: what cannot be used is named at once. Keys that a server refuses are in ``test_rights.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from nats.aio.client import Client as Nats
from nats.errors import Error

import cryptoproto as cp
from cryptoproto.gateway import nats_connection
from cryptoproto.gateway.nats_connection import close_nats, open_nats
from tests.support.nats_server import NatsServer


async def test_several_addresses(nats: NatsServer) -> None:
    nc = Nats()
    await open_nats(nc, f"nats://127.0.0.1:1, {nats.url}", "test", inbox="_INBOX.test")
    assert nc.is_connected
    assert nc.new_inbox().startswith("_INBOX.test.")
    await close_nats(nc)


async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_connection, "_OPEN_S", 0.3)
    with pytest.raises(cp.GatewayError, match=r"nats://\*\*\*@127\.0\.0\.1:1 cannot be used.*is nats-server running"):
        await open_nats(Nats(), "nats://user:secret@127.0.0.1:1", "test", inbox="_INBOX.test")


@pytest.mark.parametrize(
    ("content", "mode", "match"),
    [
        (None, 0o600, "there is no such nkey seed"),
        ("SUAAA", 0o600, "this is not an nkey seed"),
        ("\xff\n", 0o600, "this is not an nkey seed"),
        ("", 0o600, "this is not an nkey seed"),
        ("x", 0o644, "gives other users access"),
    ],
    ids=["missing", "broken", "binary", "empty", "readable"],
)
async def test_a_seed_that_cannot_be_used(tmp_path: Path, content: str | None, mode: int, match: str) -> None:
    path = tmp_path / "seed.nk"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
        path.chmod(mode)
    with pytest.raises(cp.ConfigurationError, match=match):
        await open_nats(Nats(), "nats://127.0.0.1:1", "test", inbox="_INBOX.test", nkey_seed=path)


async def test_closing_without_a_server_leaves_nothing(nats: NatsServer) -> None:
    nc = Nats()
    await open_nats(nc, nats.url, "test", inbox="_INBOX.test")
    nats.kill()
    with pytest.raises(Error):
        await nc.request("nobody", timeout=0.1)
    await close_nats(nc)
