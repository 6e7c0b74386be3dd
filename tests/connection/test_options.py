"""Every option that cannot be used has its clear error, before anything is opened."""

from __future__ import annotations

import re
import socket
import ssl
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange


async def a_coroutine(*_: object) -> None:
    """A function that connect() could never await."""


@pytest.fixture
def arguments(alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> dict[str, Any]:
    return {"client_id": "alice", "private_key": alice_key, "server_key": exchange_key.public_key}


def shown(value: object) -> str:
    """The name of a case: the same in every process, which the address in a function's repr is not."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ws://api.example.com", r"not encrypted by TLS and api\.example\.com is not this machine; use wss://"),
        ("ws://192.168.0.1:8000", "use wss://"),
        ("ws://localhost.example.com", "use wss://"),
        ("http://api.example.com", "not a WebSocket address; write it like wss://"),
        ("api.example.com", "not a WebSocket address"),
        ("wss://", "not a WebSocket address"),
        ("", "not a WebSocket address"),
        ("wss://api.example.com:99999", "not a valid address"),
        ("wss://api.example.com:port", "not a valid address"),
        ("wss://[::1", "not a valid address"),
        (f"wss://{'a' * 64}.com", "not a valid address"),
        ("wss://a..b", "not a valid address"),
        (b"wss://api.example.com", "must be a str, not bytes"),
        (None, "must be a str, not NoneType"),
    ],
)
def test_addresses(url: Any, words: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        cp.connect(url, **arguments)


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:1", "ws://127.8.9.10", "ws://[::1]:1", "ws://localhost", "wss://münchen.example/path?x=1"]
)
def test_good_addresses(url: str, arguments: dict[str, Any]) -> None:
    cp.connect(url, **arguments)
    cp.connect("ws://api.example.com", insecure=True, **arguments)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"client_id": b"alice"}, "client_id must be a str, not bytes"),
        ({"private_key": "alice.pem"}, "private_key must be a PrivateKey, not str"),
        ({"server_key": None}, "server_key must be a PublicKey, not NoneType"),
        ({"protocol": "v5"}, "protocol must be a Protocol, not str"),
        ({"resume_from": -2}, "resume_from=-2 must be the last transaction id"),
        ({"resume_from": "7"}, "resume_from='7' must be"),
        ({"resume_from": True}, "resume_from=True must be"),
        ({"resume_from": 1.0}, r"resume_from=1\.0 must be"),
        ({"open_timeout": 0}, "open_timeout=0 must be a number of seconds, greater than zero"),
        ({"open_timeout": -1.0}, "open_timeout"),
        ({"open_timeout": None}, "open_timeout"),
        ({"open_timeout": float("nan")}, "open_timeout"),
        ({"request_timeout": "5"}, "request_timeout='5'"),
        ({"request_timeout": None}, "request_timeout=None"),
        ({"ping_interval": 0}, "ping_interval=0"),
        ({"ping_interval": True}, "ping_interval=True"),
        ({"ping_timeout": -4}, "ping_timeout=-4"),
        ({"max_queue": 0}, "max_queue=0 must be a whole number, 1 or more"),
        ({"max_queue": 10.5}, "max_queue"),
        ({"max_queue": None}, "max_queue"),
        ({"max_message_size": 1000}, "max_message_size=1000 must be a whole number, 4096 or more"),
        ({"transport": 7}, "transport=7 must be a name or an opener"),
        ({"ssl": True}, r"ssl must be an ssl\.SSLContext, not bool"),
        ({"throttle": 5}, "throttle=5 must be a plain function"),
        ({"throttle": a_coroutine}, "called, and not awaited"),
        ({"on_event": "print"}, "on_event='print' must be a plain function"),
        ({"on_event": a_coroutine}, "called, and not awaited"),
        ({"exclusive": True, "lock": False}, "exclusive=True needs the lock"),
    ],
    ids=shown,
)
def test_options_of_connect(option: dict[str, Any], words: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(cp.ConfigurationError, match=words) as caught:
        cp.connect("wss://api.example.com", **(arguments | option))
    assert isinstance(caught.value, ValueError)


def test_a_tls_context_beside_an_address_without_tls(arguments: dict[str, Any]) -> None:
    with pytest.raises(cp.ConfigurationError, match="ws://, which does not use it; use wss://"):
        cp.connect("ws://127.0.0.1:1", ssl=ssl.create_default_context(), **arguments)


def test_none_means_no_pings(arguments: dict[str, Any]) -> None:
    cp.connect("wss://api.example.com", ping_interval=None, ping_timeout=None, **arguments)


@pytest.mark.parametrize(
    ("client_id", "words"),
    [
        ("", "must be one or more printable ASCII characters"),
        ("Zoë", "printable ASCII"),
        ("a\nb", "printable ASCII"),
        ("a" * 300, "client_id has 300 characters; the handshake under this server's RSA-2048 key has room for 16"),
    ],
)
async def test_client_ids(client_id: str, words: str, arguments: dict[str, Any]) -> None:
    """Refused before the network is touched."""

    async def never(*_: object) -> Any:
        raise AssertionError("the network was touched")

    with pytest.raises(cp.ConfigurationError, match=words):
        await cp.connect("wss://x.example", **(arguments | {"client_id": client_id, "transport": never}))


async def test_a_resume_position_beyond_64_bits(arguments: dict[str, Any]) -> None:
    with pytest.raises(cp.ConfigurationError, match="not a 64-bit transaction id"):
        await cp.connect("ws://127.0.0.1:1", resume_from=2**63, **arguments)


async def test_a_transport_that_is_not_known(arguments: dict[str, Any]) -> None:
    pigeons: Any = "carrier pigeon"
    with pytest.raises(cp.ConfigurationError, match='choose "auto", "websockets" or "picows"'):
        await cp.connect("ws://127.0.0.1:1", transport=pigeons, **arguments)


def test_an_option_that_is_not_known(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="colour"):
        cp.connect("wss://api.example.com", **(arguments | {"colour": "red"}))


@pytest.mark.parametrize("message", [5, "text", None, ["list"], {"price": {1, 2}}, {"price": 2**70}])
async def test_invalid_messages(message: Any, script: Any, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key) as connection:
        for call in (connection.send, connection.request):
            with pytest.raises(cp.ConfigurationError):
                await call(message)
        assert await connection.send(cp.CancelAllOrders()) == 1, "no sequence was spent on them"


async def test_a_message_that_is_too_large(script: Any, alice_key: cp.PrivateKey, protocol: cp.Protocol) -> None:
    async with script.connect(alice_key, protocol=protocol, max_message_size=4096) as connection:
        for call in (connection.send, connection.request):
            with pytest.raises(cp.ConfigurationError, match="does not fit into max_message_size=4096"):
                await call({"@type": "CancelAllOrders", "note": "x" * 4096})
        # The largest that fits does arrive, as the largest that may: sizes are estimated from the safe side.
        room = 4096 - 64 - (256 if protocol is cp.Protocol.SIGNED else 0)
        await connection.send(b'{"@type":"X","note":"' + b"x" * (room - 23) + b'"}')
        await script.peer.until(lambda: len(script.peer.messages) == 1)
        assert all(len(frame) <= 4096 for frame in script.peer.client_link.sent)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"rate_limit": 0}, "rate_limit=0 must be greater than zero, or None"),
        ({"rate_limit": -1.5}, "rate_limit"),
        ({"rate_limit": float("nan")}, "rate_limit"),
        ({"rate_limit": "20"}, "rate_limit='20' must be a number of messages a second"),
        ({"rate_limit": True}, "rate_limit=True"),
        ({"port": -1}, "port=-1 must be a port, 0 to 65535"),
        ({"port": 65_536}, "port=65536"),
        ({"port": "80"}, "port='80'"),
        ({"market_data_port": 1e3}, r"market_data_port=1000\.0"),
        ({"port": 4242, "market_data_port": 4242}, "both 4242"),
        ({"private_key": "exchange.pem"}, "private_key must be a PrivateKey, not str"),
        ({"trade_pairs": []}, "needs at least one trade pair"),
        ({"trade_pairs": ["BTCUSD"]}, 'like "BTC_USD"'),
        ({"trade_pairs": ["BTC_USD", "BTC_USD"]}, "given twice"),
        ({"maker_fee": Decimal(1)}, "maker_fee"),
        ({"taker_fee": Decimal("-0.1")}, "taker_fee"),
        ({"taker_fee": 0.1}, "taker_fee"),
        ({"clock": 5}, "clock=5 must be a plain function"),
        ({"clock": a_coroutine}, "called, and not awaited"),
        ({"ssl": "cert.pem"}, r"ssl must be an ssl\.SSLContext"),
        ({"ping_interval": 0}, "ping_interval=0"),
        ({"ping_timeout": -1}, "ping_timeout=-1"),
        ({"ping_timeout": None}, "ping_timeout=None"),
        ({"book_interval": -0.1}, "book_interval"),
        ({"max_message_size": 0}, "max_message_size=0 must be a whole number, 4096 or more"),
    ],
    ids=shown,
)
def test_options_of_the_exchange(option: dict[str, Any], words: str, exchange_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        Exchange(**({"private_key": exchange_key} | option))


def test_addresses_before_the_start(exchange_key: cp.PrivateKey) -> None:
    exchange = Exchange(private_key=exchange_key)
    for name in ("url", "market_data_url"):
        with pytest.raises(cp.ConfigurationError, match="no address before it is started"):
            getattr(exchange, name)


@pytest.mark.parametrize("which", ["port", "market_data_port"])
async def test_a_port_that_is_taken(which: str, exchange_key: cp.PrivateKey) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        exchange = Exchange(private_key=exchange_key, **{which: port})
        with pytest.raises(cp.ConfigurationError, match=f"cannot listen on 127.0.0.1 port {port}"):
            await exchange.start()
        await exchange.close()


async def test_a_transport_of_the_exchange_that_is_not_known(exchange_key: cp.PrivateKey) -> None:
    pigeons: Any = "carrier pigeon"
    with pytest.raises(cp.ConfigurationError, match='choose "auto", "websockets" or "picows"'):
        await Exchange(private_key=exchange_key, transport=pigeons).start()


def test_registering(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    exchange = Exchange(private_key=exchange_key)
    exchange.register("alice", alice_key.public_key, {"USD": "5"})
    exchange.register("alice", alice_key.public_key, {"USD": "7"})
    assert exchange.balances("alice").balances["USD"].available == 5
    with pytest.raises(cp.ConfigurationError, match="registered with another key"):
        exchange.register("alice", bob_key.public_key)
    balances: list[Any] = [{"USD": -1}, {"USD": 0.5}, {"USD": "much"}]
    for bad in balances:
        with pytest.raises(cp.ConfigurationError):
            exchange.register("bob", bob_key.public_key, bad)
    with pytest.raises(cp.ConfigurationError):
        exchange.deposit("bob", "USD", 1)
    with pytest.raises(cp.ConfigurationError):
        exchange.withdraw("alice", "USD", 6)
    assert exchange.totals()["USD"] == 5
