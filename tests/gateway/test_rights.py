"""What each user may do in a real server with the written configuration, and that everything else is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats import connect
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient, Operator
from cryptoproto.gateway.calls import Hello, OpenEvents, encode
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.rights import strategy_rights
from cryptoproto.gateway.server_config import Listening, ServerFiles, write_server_config
from tests.support.nats_server import NatsServer, nats_server

NAMES = Names("alice")


class Desk:
    """A server with rights, and a gateway that owns a session."""

    def __init__(self, nats: NatsServer, files: ServerFiles, gateway: Gateway) -> None:
        self.nats = nats
        self.files = files
        self.gateway = gateway

    def strategy(self, name: str, seed: str | None = None) -> GatewayClient:
        return GatewayClient(
            self.nats.url, client_id="alice", strategy=name, nkey_seed=self.files.strategy_seeds[seed or name]
        )

    def operator(self) -> Operator:
        return Operator(self.nats.url, "alice", nkey_seed=self.files.operator_seed)

    @asynccontextmanager
    async def raw(self, seed: Path) -> AsyncIterator[tuple[Nats, asyncio.Queue[str]]]:
        """A connection without any manners, and what the server refuses to it."""
        refused: asyncio.Queue[str] = asyncio.Queue()

        async def on_error(error: Exception) -> None:
            refused.put_nowait(str(error))

        nc = await connect(self.nats.url, nkeys_seed=str(seed), inbox_prefix="_INBOX.mm1", error_cb=on_error)
        try:
            yield nc, refused
        finally:
            await nc.close()

    async def sequences(self) -> list[int]:
        """The last message of each stream, as the owner sees them."""
        async with self.raw(self.files.gateway_seed) as (nc, _):
            nc._inbox_prefix = bytearray(b"_INBOX.=gateway")
            js = nc.jetstream()
            return [
                (await js.stream_info(name)).state.last_seq
                for name in (NAMES.events_stream, NAMES.log_stream, f"KV_{NAMES.strategies}")
            ]


@pytest.fixture
async def desk(tmp_path: Path, alice_key: cp.PrivateKey) -> AsyncIterator[Desk]:
    files = write_server_config(tmp_path / "config", NAMES, ["mm1", "mm2"], Listening(store=str(tmp_path / "js")))
    (tmp_path / "nats").mkdir()
    with nats_server(tmp_path / "nats", files.configs[0]) as nats:
        async with Exchange() as exchange:
            exchange.register("alice", alice_key.public_key, balances={"USD": "1000000"})
            async with Gateway(
                nats.url,
                url=exchange.url,
                client_id="alice",
                private_key=alice_key,
                server_key=exchange.public_key,
                nkey_seed=files.gateway_seed,
            ) as gateway:
                await gateway.wait_owner()
                yield Desk(nats, files, gateway)


async def test_everything_that_is_allowed_works(desk: Desk) -> None:
    async with desk.strategy("mm1") as strategy, desk.operator() as operator:
        order = await strategy.place("BTC_USD", "buy", amount="1", price="100", wait=True)
        await strategy.cancel(order)
        async for event in strategy.events():
            if isinstance(event.message, cp.BuyOrderCancelled):
                break
        assert (await strategy.balances())["USD"].available == 1000000
        assert (await operator.status()).strategies["mm1"].open_orders == 0
        await operator.set_limits("mm1", max_open_orders=1)
        await operator.kill("mm1")
        await operator.revive("mm1")


FORBIDDEN_TO_PUBLISH = [
    NAMES.command("mm2"),
    Names("bob").command("mm1"),
    NAMES.events,
    NAMES.log,
    NAMES.state,
    NAMES.broadcast,
    NAMES.market_of("BTC_USD"),
    NAMES.market_beat,
    NAMES.market_request("mm2"),
    NAMES.operation("kill"),
    NAMES.operation("status"),
    f"$KV.{NAMES.leases}.{NAMES.lease}",
    f"$KV.{NAMES.strategies}.strategies",
    f"$JS.API.STREAM.INFO.{NAMES.events_stream}",
    f"$JS.API.STREAM.MSG.GET.{NAMES.log_stream}",
    f"$JS.API.STREAM.PURGE.{NAMES.events_stream}",
    f"$JS.API.STREAM.DELETE.{NAMES.log_stream}",
    f"$JS.API.CONSUMER.CREATE.{NAMES.events_stream}",
    f"$JS.API.DIRECT.GET.KV_{NAMES.leases}",
    "_INBOX.mm2.x",
    "_INBOX.=gateway.x",
]
FORBIDDEN_TO_RECEIVE = [
    ">",
    "_INBOX.>",
    "_INBOX.mm2.>",
    "_INBOX.=gateway.>",
    NAMES.command("*"),
    NAMES.command("mm2"),
    NAMES.operation("*"),
    NAMES.log,
    NAMES.events,
    NAMES.market_request("mm2"),
    f"$KV.{NAMES.leases}.>",
    "$SYS.>",
    Names("bob").state,
]


async def test_a_strategy_publishes_nothing_but_its_own_commands(desk: Desk) -> None:
    before = await desk.sequences()
    async with desk.raw(desk.files.strategy_seeds["mm1"]) as (nc, refused):
        for subject in FORBIDDEN_TO_PUBLISH:
            await nc.publish(subject, b"{}")
            async with asyncio.timeout(10):
                assert f'permissions violation for publish to "{subject.lower()}"' in (await refused.get()).lower()
    assert await desk.sequences() == before


async def test_a_strategy_receives_nothing_of_others(desk: Desk) -> None:
    async with desk.raw(desk.files.strategy_seeds["mm1"]) as (nc, refused):
        for subject in FORBIDDEN_TO_RECEIVE:
            await nc.subscribe(subject)
            async with asyncio.timeout(10):
                assert "permissions violation for subscription to" in (await refused.get()).lower(), subject


async def test_an_operator_does_not_trade_and_a_strategy_does_not_operate(desk: Desk) -> None:
    async with desk.raw(desk.files.operator_seed) as (nc, refused):
        for subject in (NAMES.command("mm1"), NAMES.state, NAMES.log, f"$KV.{NAMES.leases}.{NAMES.lease}"):
            await nc.publish(subject, b"{}")
            async with asyncio.timeout(10):
                assert "permissions violation" in (await refused.get()).lower()
    operator = Operator(desk.nats.url, "alice", nkey_seed=desk.files.strategy_seeds["mm1"], timeout=0.5)
    async with operator:
        with pytest.raises(GatewayError, match="did not answer"):
            await operator.kill("mm2")


@pytest.mark.parametrize(
    "payload",
    [encode(Hello()), encode(OpenEvents(0, NAMES.events)), b"rubbish"],
    ids=["hello", "events", "rubbish"],
)
async def test_the_gateway_answers_nowhere_but_in_the_inbox_of_a_strategy(desk: Desk, payload: bytes) -> None:
    """The server does not check the reply subject of a request: the owner has to."""
    targets = [NAMES.events, NAMES.log, NAMES.state, NAMES.command("mm2"), f"$KV.{NAMES.leases}.{NAMES.lease}"]
    async with desk.strategy("mm2") as other, desk.raw(desk.files.strategy_seeds["mm1"]) as (nc, _):
        await answered(nc)  # the strategy is known from here on
        before = await desk.sequences()
        for target in [*targets, "_INBOX.mm2.x", "_INBOX.=gateway.x"]:
            await nc.publish(NAMES.command("mm1"), payload, reply=target)
        await answered(nc)  # the owner has read everything before
        assert await desk.sequences() == before
        assert desk.gateway.is_owner
        assert other.state.state is cp.State.LIVE


async def test_events_are_delivered_nowhere_but_in_the_inbox_of_a_strategy(desk: Desk) -> None:
    async with desk.strategy("mm2") as other, desk.raw(desk.files.strategy_seeds["mm1"]) as (nc, _):
        await other.place("BTC_USD", "buy", amount="1", price="100", wait=True)
        _, *before = await desk.sequences()
        for target in (NAMES.log, NAMES.state, NAMES.command("mm2"), "_INBOX.mm2.x"):
            call = encode(OpenEvents(desk.gateway.fence, target))
            reply = await nc.request(NAMES.command("mm1"), call, timeout=10)
            assert b"not a subject of the inbox of strategy mm1" in reply.data
        _, *after = await desk.sequences()
        assert after == before


async def answered(nc: Nats) -> Msg:
    return await nc.request(NAMES.command("mm1"), encode(Hello()), timeout=10)


async def test_a_strategy_cannot_take_the_name_of_another(desk: Desk) -> None:
    async with desk.strategy("mm2", seed="mm1") as liar:
        with pytest.raises(cp.RequestNotSent):
            await liar.place("BTC_USD", "buy", amount="1", price="100")


def stranger(folder: Path) -> Path:
    files = write_server_config(folder / "other", NAMES, ["mm1"], Listening())
    return files.strategy_seeds["mm1"]


@pytest.mark.parametrize(
    "seed",
    [lambda folder: None, stranger],
    ids=["none", "of a stranger"],
)
async def test_who_has_no_key_is_refused(desk: Desk, tmp_path: Path, seed: Callable[[Path], Any]) -> None:
    client = GatewayClient(desk.nats.url, client_id="alice", strategy="mm1", nkey_seed=seed(tmp_path))
    with pytest.raises(GatewayError, match="cannot be used"):
        await client.start()


def test_a_strategy_has_no_rights_in_jetstream_but_to_confirm() -> None:
    rights = strategy_rights(NAMES, "mm1")
    assert [each for each in rights.publish if each.startswith("$")] == [f"$JS.FC.{NAMES.events_stream}.>"]
    assert not [each for each in rights.subscribe if each.startswith("$")]
    with pytest.raises(cp.ConfigurationError, match="strategy="):
        strategy_rights(NAMES, "a.b")
