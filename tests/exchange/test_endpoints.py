"""The addresses that the exchange listens on."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange, endpoints
from cryptoproto.exchange.endpoints import Endpoints
from tests.support.raw import RawClient


def test_an_exchange_that_does_not_listen_has_no_address(keys: dict[str, cp.PrivateKey]) -> None:
    with pytest.raises(cp.ConfigurationError, match="no address before it is started"):
        _ = Exchange(private_key=keys["exchange"]).url


@pytest.mark.parametrize("path", [None, "exchange.db"])
async def test_an_address_that_cannot_be_listened_on_is_explained(
    path: str | None, tmp_path: Path, keys: dict[str, cp.PrivateKey], kind: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = None if path is None else tmp_path / path
        exchange = Exchange(path=file, port=port, private_key=keys["exchange"], transport=kind)
        with pytest.raises(cp.ConfigurationError, match=f"port {port}: another program uses this port"):
            await exchange.start()
        await exchange.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "this host name is not known"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "this machine does not have this address"),
        (OSError(errno.EACCES, "x"), "permission denied; choose a port above 1023"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    ],
)
async def test_why_it_cannot_listen(
    error: OSError, words: str, keys: dict[str, cp.PrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(endpoints, "serve", fail)
    with pytest.raises(cp.ConfigurationError, match=words):
        await Exchange(private_key=keys["exchange"]).start()


async def test_a_free_port_is_kept_for_the_next_time(keys: dict[str, cp.PrivateKey]) -> None:
    async with Exchange(private_key=keys["exchange"]) as exchange:
        before = (exchange.url, exchange.market_data_url)
        assert before[0] != before[1]
        await exchange.restart()
        assert (exchange.url, exchange.market_data_url) == before
        async with RawClient.connected(exchange.url):
            pass


@pytest.mark.parametrize(("host", "address"), [("0.0.0.0", "ws://127.0.0.1:"), ("::", "ws://[::1]:")])
async def test_on_all_addresses_it_names_one_that_a_client_can_use(
    host: str, address: str, keys: dict[str, cp.PrivateKey]
) -> None:
    async with Exchange(host=host, private_key=keys["exchange"]) as exchange:
        assert exchange.url.startswith(address)
        assert exchange.market_data_url.startswith(address)
        async with RawClient.connected(exchange.url):
            pass


def test_it_listens_from_the_start_to_the_stop() -> None:
    sockets = Endpoints("127.0.0.1", 0, 0, None, "auto", 2**16)
    assert not sockets.is_listening
    sockets.stop()
    assert not sockets.is_listening
