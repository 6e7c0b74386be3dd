"""SIGKILL in the middle of requests: what was answered is on the disk."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import httpx
import pytest

from cryptoproto.licensing import KeyPair, Keyring, LicenseManager
from tests.support.command_line import start
from tests.support.licensing.fresh import PATH, fresh_request


async def test_a_killed_manager_has_lost_nothing_after_a_restart(
    tmp_path: Path, gateway: KeyPair, keyring: Keyring
) -> None:
    keyring.save(tmp_path / "manager.json")
    with LicenseManager(tmp_path / "db", keyring, actor="tester") as manager:
        agreement = manager.administration.add_agreement(gateway.public_key, "*", licenses=3)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}{PATH}"

    serve = ("license", "serve", "--database", tmp_path / "db", "--keys", tmp_path / "manager.json")
    answered: list[int] = []
    with start(*serve, "--port", str(port), "--json") as server:
        assert f"http://127.0.0.1:{port}" in server.first_line

        async def ask_until_it_dies(http: httpx.AsyncClient) -> None:
            for number in range(10_000):
                body = fresh_request(gateway, keyring, number, f"A{number % 5}")
                reply = await http.post(url, content=body)
                answered.append(reply.status_code)
                if len(answered) == 12:
                    server.process.kill()

        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.TransportError):
                await ask_until_it_dies(http)
        assert server.kill(signal.SIGKILL) == -signal.SIGKILL

    with LicenseManager(tmp_path / "db", keyring) as manager:
        locks = {lock.binding.config_hash: lock for lock in manager.administration.locks()}
        assert len(locks) == 3
        assert manager.administration.agreements() == [agreement]

    with start(*serve, "--port", str(port), "--json") as server:
        async with httpx.AsyncClient() as http:
            outcomes = [
                (await http.post(url, content=fresh_request(gateway, keyring, 20_000 + number, f"A{number}")))
                for number in range(5)
            ]
            replayed = await http.post(url, content=fresh_request(gateway, keyring, 0, "A0"))
        assert [outcome.status_code for outcome in outcomes] == [200, 200, 200, 400, 400]
        assert replayed.json()["reason"] == "stale"
        assert server.kill(signal.SIGTERM) == 0
    with LicenseManager(tmp_path / "db", keyring) as manager:
        again = {lock.binding.config_hash: lock.acquired_ns for lock in manager.administration.locks()}
        assert again == {key: lock.acquired_ns for key, lock in locks.items()}
