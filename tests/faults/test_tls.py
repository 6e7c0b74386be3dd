"""TLS between a client and an exchange: what works, and what is refused, in which words."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.transport import TransportKind
from tests.support.certificates import self_signed
from tests.support.leaks import loop_reports
from tests.support.links import KINDS

WRONG_NAME = r"(?i)mismatch.*; the certificate is for another name: use a name or address that it is for"
EXPIRED = r"expired.*; the other end has to renew its certificate, or the clock of this machine is wrong$"
UNTRUSTED = r"self-signed certificate.*; to trust a certificate .* pass ssl= or set SSL_CERT_FILE to its file$"
USE_WSS = r"if this port expects TLS, use wss:// instead of ws://$"
USE_WS = r"if this port does not use TLS, use ws:// instead of wss://$"


async def attempt(exchange: Exchange, key: cp.PrivateKey, kind: TransportKind, **options: object) -> None:
    """Connect to *exchange* and ask it something."""
    exchange.register("alice", key.public_key, {"USD": "5"})
    given = {"url": exchange.url, "open_timeout": 10.0, **options}
    async with cp.connect(
        **given,  # type: ignore[arg-type]
        client_id="alice", private_key=key, server_key=exchange.public_key, transport=kind,
    ) as connection:  # fmt: skip
        answer = await connection.request(cp.UserBalanceRequest())
        assert isinstance(answer, cp.UserBalanceResponse)
        assert answer.balances["USD"].available == 5


@pytest.mark.parametrize("server_kind", KINDS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_certificate_that_signs_itself_works_for_who_trusts_it(
    tmp_path: Path, kind: TransportKind, server_kind: TransportKind, alice_key: cp.PrivateKey
) -> None:
    certificate, context = self_signed(tmp_path)
    async with Exchange(ssl=context, transport=server_kind) as exchange:
        await attempt(exchange, alice_key, kind, ssl=ssl.create_default_context(cafile=certificate))
        feed = cp.MarketData(
            exchange.market_data_url, ssl=ssl.create_default_context(cafile=certificate), transport=kind
        )
        async with feed:
            async for update in feed:
                assert update is not None
                break


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("host", "days", "trusts", "words"),
    [
        ("exchange.example", 1, True, WRONG_NAME),
        ("10.0.0.1", 1, True, WRONG_NAME),
        ("127.0.0.1", -1, True, EXPIRED),
        ("127.0.0.1", 1, False, UNTRUSTED),
    ],
    ids=["another name", "another address", "expired", "untrusted"],
)
async def test_a_certificate_is_refused(
    tmp_path: Path, kind: TransportKind, host: str, days: int, trusts: bool, words: str, alice_key: cp.PrivateKey
) -> None:
    certificate, context = self_signed(tmp_path, host, days=days)
    trusting = ssl.create_default_context(cafile=certificate) if trusts else None
    with loop_reports():  # the exchange's side may report a handshake that the client gave up
        async with Exchange(ssl=context, transport=kind) as exchange:
            with pytest.raises(cp.ConnectError, match=words):
                await attempt(exchange, alice_key, kind, ssl=trusting)
            assert exchange.connected_clients == ()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_plain_client_of_an_exchange_with_tls(
    tmp_path: Path, kind: TransportKind, alice_key: cp.PrivateKey
) -> None:
    _, context = self_signed(tmp_path)
    with loop_reports():
        async with Exchange(ssl=context, transport=kind) as exchange:
            with pytest.raises(cp.HandshakeError, match=USE_WSS):
                await attempt(exchange, alice_key, kind, url=exchange.url.replace("wss:", "ws:"))


@pytest.mark.parametrize("server_kind", KINDS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_with_tls_of_a_plain_exchange(
    kind: TransportKind, server_kind: TransportKind, alice_key: cp.PrivateKey
) -> None:
    """Some servers wait for the end of a request that never comes; the deadline names the likely cause, too."""
    with loop_reports():
        async with Exchange(transport=server_kind) as exchange:
            with pytest.raises((cp.ConnectError, cp.OpenTimeout), match=USE_WS):
                await attempt(exchange, alice_key, kind, url=exchange.url.replace("ws:", "wss:"), open_timeout=0.5)
