"""The manager behind HTTP: limits, JSON for every refusal, batches, and a kill in the middle of everything."""

from __future__ import annotations

import asyncio
import importlib
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

import cryptoproto as cp
from cryptoproto.licensing import KeyPair, Keyring, LicenseAgent, LicenseManager, Schedule
from cryptoproto.licensing.manager.reply import LARGEST_BODY, Reply
from cryptoproto.licensing.manager.server import ManagerServer, application
from tests.support.leaks import loop_reports
from tests.support.licensing.fresh import PATH, fresh_request


@pytest.fixture
def live(keyring: Keyring) -> Iterator[LicenseManager]:
    manager = LicenseManager(":memory:", keyring, actor="tester")
    yield manager
    manager.close()


async def test_refusals_are_json(live: LicenseManager) -> None:
    async with live.serving() as server, httpx.AsyncClient(base_url=server.url) as http:
        cases = [
            (await http.post(PATH, content=b""), 400, "malformed"),
            (await http.post(PATH, content=bytes(100)), 400, "no_agreement"),
            (await http.post(PATH, content=bytes(LARGEST_BODY + 1)), 413, "too_large"),
            (await http.get(PATH), 405, "method_not_allowed"),
            (await http.post("/elsewhere"), 404, "not_found"),
        ]
        for response, status, reason in cases:
            assert response.status_code == status
            assert response.json()["reason"] == reason
            assert response.headers["content-type"] == "application/json"
            assert "Traceback" not in response.text


async def test_a_body_without_a_length_is_limited_too(live: LicenseManager) -> None:
    async with live.serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        writer.write(f"POST {PATH} HTTP/1.1\r\nHost: lm\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        writer.write(f"{LARGEST_BODY + 1:x}\r\n".encode() + bytes(LARGEST_BODY + 1) + b"\r\n")  # and no end
        response = await reader.read()  # until the manager closes
        writer.close()
        await writer.wait_closed()
    assert response.startswith(b"HTTP/1.1 413 ")
    assert b"too_large" in response


async def test_an_address_that_asks_too_often(live: LicenseManager) -> None:
    transport = httpx.ASGITransport(app=live.app(clock=lambda: 0))
    async with httpx.AsyncClient(transport=transport, base_url="http://lm") as http:
        statuses = [(await http.post(PATH)).status_code for _ in range(500)]
        response = await http.post(PATH)
    assert statuses == [400] * 500
    assert response.status_code == 429
    assert response.json()["reason"] == "too_many_requests"
    assert response.headers["retry-after"] == "1"


async def test_a_bug_is_a_500_without_details(live: LicenseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(bodies: list[bytes]) -> object:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(live, "handle_batch", broken)
    transport = httpx.ASGITransport(app=live.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://lm") as http:
        response = await http.post(PATH, content=b"x")
    assert response.status_code == 500
    assert response.json()["reason"] == "internal"
    assert "hunter2" not in response.text


async def test_requests_that_wait_together_share_a_commit(
    live: LicenseManager, gateway: KeyPair, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.administration.add_agreement(gateway.public_key, "*", licenses=10)
    batches: list[int] = []
    original = live.handle_batch

    def counting(bodies: list[bytes]) -> object:
        batches.append(len(bodies))
        return original(bodies)

    monkeypatch.setattr(live, "handle_batch", counting)
    bodies = [fresh_request(gateway, keyring, number, f"A{number}") for number in range(40)]
    transport = httpx.ASGITransport(app=live.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://lm") as http:
        replies = await asyncio.gather(*(http.post(PATH, content=body) for body in bodies))
    assert sorted(reply.status_code for reply in replies) == [200] * 10 + [400] * 30
    assert sum(batches) == 40
    assert len(batches) < 40
    assert len(live.administration.locks()) == 10


async def test_an_address_in_use_is_an_error(live: LicenseManager) -> None:
    async with live.serving() as server:
        port = int(server.url.rsplit(":", 1)[1])
        with pytest.raises(cp.ConfigurationError, match="another program uses this port"):
            await live.serving(port=port).__aenter__()
    with pytest.raises(cp.ConfigurationError, match="65535"):
        live.serving(port=70_000)
    with pytest.raises(cp.ConfigurationError, match="certificate"):
        live.serving(certificate="missing.pem")


async def test_tls_is_validated_unless_switched_off(
    live: LicenseManager, gateway: KeyPair, keyring: Keyring, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    live.administration.add_agreement(gateway.public_key, "*", licenses=1)

    urls: list[str] = []

    def agent(**options: object) -> LicenseAgent:
        return LicenseAgent(
            urls,
            keys=gateway,
            manager_key=keyring.active(time.time_ns())[0].public,
            package="gw",
            logins=["A1"],
            cache_dir=tmp_path / str(len(options)) / repr(sorted(options)),
            **options,  # type: ignore[arg-type]
        )

    async def handshakes() -> None:
        async with live.serving(certificate=certificate) as server:
            assert server.url.startswith("https://")
            urls.append(server.url)
            async with agent() as strict:
                with pytest.raises(cp.CryptoprotoError, match="CERTIFICATE_VERIFY_FAILED"):
                    await strict.ready()
            async with agent(verify=certificate) as own:
                await own.ready()
            async with agent(verify=False) as curious:
                await curious.ready()
            async with agent(verify=ssl.create_default_context(cafile=certificate)) as context:
                await context.ready()

    # The server's end of a refused handshake tells the event loop of the reset; nothing else may.
    with loop_reports() as resets:
        await handshakes()
    assert all(isinstance(report["exception"], ConnectionError) for report in resets)


def self_signed(folder: Path) -> Path:
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "license manager")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "manager.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_agents_over_real_sockets(
    live: LicenseManager, gateway: KeyPair, keyring: Keyring, tmp_path: Path
) -> None:
    live.administration.add_agreement(gateway.public_key, "*", licenses=2)
    key = keyring.active(time.time_ns())[0].public
    async with live.serving() as server:
        agents = [
            LicenseAgent(
                ["http://127.0.0.1:9", server.url],  # port 9: nobody listens
                keys=gateway,
                manager_key=key,
                package="gw",
                logins=[f"A{number}"],
                cache_dir=tmp_path,
                schedule=Schedule(lock_period_s=60),
            )
            for number in range(3)
        ]
        for agent in agents:
            await agent.__aenter__()
        outcomes = await asyncio.gather(*(agent.ready() for agent in agents), return_exceptions=True)
        for agent in agents:
            await agent.close()
    assert sum(outcome is None for outcome in outcomes) == 2
    (refused,) = [outcome for outcome in outcomes if outcome is not None]
    assert "no_free_license" in str(refused)


class Handler:
    """Answers when it may, and remembers what it was asked."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def handle_batch(self, bodies: Sequence[bytes]) -> list[Reply]:
        self._loop.call_soon_threadsafe(self.asked.set)
        self.free.wait()
        return [Reply(200, body) for body in bodies]


async def test_one_who_leaves_does_not_disturb_the_others() -> None:
    handler = Handler()
    app = application(handler)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://lm") as http:
        leaving = asyncio.create_task(http.post(PATH, content=b"leaves"))
        await handler.asked.wait()
        staying = asyncio.create_task(http.post(PATH, content=b"stays"))
        leaving.cancel()
        await asyncio.wait([leaving])
        handler.free.set()
        assert (await staying).content == b"stays"


async def test_a_body_that_ends_early_is_malformed() -> None:
    handler = Handler()
    handler.free.set()
    sent: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"a part", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "headers": [],
        "query_string": b"",
        "client": None,
    }
    await application(handler)(scope, receive, send)
    assert sent[0]["status"] == 400
    assert b"the body is not complete" in sent[1]["body"]
    assert not handler.asked.is_set()


async def test_a_server_that_does_not_start_says_so(live: LicenseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ManagerServer(live)
    await server.ended()  # there is nothing to wait for

    async def fail(**_: object) -> None:
        return

    monkeypatch.setattr(server._server, "serve", fail)
    with pytest.raises(cp.ConfigurationError, match="did not start; see its log"):
        await server.__aenter__()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cryptoproto.licensing.manager.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs uvicorn: pip install 'cryptoproto\[licensing,server\]'"):
        importlib.import_module("cryptoproto.licensing.manager.server")
