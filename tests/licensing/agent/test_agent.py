"""The agent on simulated time: tokens, outages, grace, expiry, caches and clocks that go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import cryptoproto as cp
from cryptoproto.licensing import (
    ActivityRecorder,
    Deployment,
    InvalidToken,
    KeyPair,
    Keyring,
    LicenseAgent,
    LicenseExpired,
    LicenseManager,
    LicenseRequest,
    LicenseState,
    ManagerUnavailable,
    NoAgreement,
    NoFreeLicense,
    RequestStale,
    Schedule,
    TokenBinding,
    TokenCacheError,
    config_hash,
)
from cryptoproto.licensing.sealing.sealing import Channel, sign_token
from tests.support.licensing.samples import PUBLISHED
from tests.support.licensing.simulated_time import SECOND, START_NS, SimulatedClock
from tests.support.licensing.worlds import InMemory

MakeAgent = Callable[..., LicenseAgent]
HOUR = 3600.0


@pytest.fixture
def network(manager: LicenseManager) -> InMemory:
    return InMemory(lm1=manager, lm2=manager)


@pytest.fixture
def make_agent(
    network: InMemory, gateway: KeyPair, keyring: Keyring, clock: SimulatedClock, tmp_path: Path
) -> MakeAgent:
    def make(**changes: Any) -> LicenseAgent:
        options: dict[str, Any] = {
            "keys": gateway,
            "manager_key": keyring.active(START_NS)[0].public,
            "package": "roq-deribit",
            "logins": ["A1"],
            "cache_dir": tmp_path / "cache",
            "clock": clock,
            "transport": network,
        }
        return LicenseAgent(["https://lm1", "https://lm2"], **(options | changes))

    return make


@pytest.fixture
def agreement(manager: LicenseManager, gateway: KeyPair) -> int:
    return manager.administration.add_agreement(gateway.public_key, "roq-*", licenses=1).id


@contextlib.asynccontextmanager
async def running(agent: LicenseAgent, clock: SimulatedClock) -> AsyncIterator[LicenseAgent]:
    """An entered agent whose first attempt, if it made one, has ended."""
    async with agent:
        await clock.settled()
        yield agent


def state(agent: LicenseAgent) -> LicenseState:
    return agent.state


def cache_error(agent: LicenseAgent) -> Exception | None:
    return agent.cache_error


def cache_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache").iterdir()
    return path


@pytest.mark.usefixtures("agreement")
async def test_a_license_is_acquired_and_cached(make_agent: MakeAgent, clock: SimulatedClock, tmp_path: Path) -> None:
    states: list[LicenseState] = []
    agent = make_agent(on_state=states.append)
    with pytest.raises(LicenseExpired, match=r"await agent\.ready"):
        agent.ensure()
    async with agent:
        assert state(agent) is LicenseState.STARTING
        await agent.ready()
        agent.ensure()
        assert state(agent) is LicenseState.LICENSED
        assert agent.token.expires_at_utc_ns == START_NS + 7200 * SECOND
        assert agent.last_error is None
        await clock.settled()
        assert agent.cache_error is None
    path = cache_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert b"roq-deribit" not in path.read_bytes()  # sealed
    assert states == [LicenseState.STARTING, LicenseState.LICENSED]


@pytest.mark.usefixtures("agreement")
async def test_a_cached_token_needs_no_network(make_agent: MakeAgent, clock: SimulatedClock, network: InMemory) -> None:
    async with running(make_agent(), clock) as agent:
        token = agent.token
    network.down()
    asked = len(network.asked)
    async with make_agent() as agent:
        assert state(agent) is LicenseState.LICENSED  # before a single step of the loop
        await agent.ready()
        assert agent.token == token
        await clock.settled()
        assert len(network.asked) == asked


@pytest.mark.usefixtures("agreement")
async def test_renewal_comes_at_about_a_quarter_of_the_life(make_agent: MakeAgent, clock: SimulatedClock) -> None:
    moments = []
    async with running(make_agent(), clock) as agent:
        for _ in range(12):
            before = agent.token
            while agent.token == before:
                await clock.advance(30)
            moments.append((agent.token.issued_at_utc_ns - before.issued_at_utc_ns) / SECOND)
    assert all(0.25 * 7200 * 0.8 <= moment <= 0.25 * 7200 * 1.2 + 1 for moment in moments)
    assert len(set(moments)) > 6  # jittered


async def test_a_refusal_is_raised_and_no_other_address_is_tried(make_agent: MakeAgent, network: InMemory) -> None:
    async with make_agent() as agent:
        with pytest.raises(LicenseExpired, match="no agreement"):
            await agent.ready()
        assert isinstance(agent.last_error, NoAgreement)
        with pytest.raises(LicenseExpired, match="no agreement"):
            agent.ensure()
        with pytest.raises(LicenseExpired):
            _ = agent.token
    assert network.asked == ["lm1"]  # never the next one on 400


@pytest.mark.usefixtures("agreement")
@pytest.mark.parametrize("status", [500, 502, 503, 404, 302, 204])
async def test_the_next_address_on_anything_that_is_no_managers_answer(
    make_agent: MakeAgent, network: InMemory, status: int
) -> None:
    network.faults["lm1"] = lambda _: httpx.Response(status, content=b"<html>")
    async with make_agent() as agent:
        await agent.ready()
    assert network.asked == ["lm1", "lm2"]


@pytest.mark.usefixtures("agreement")
@pytest.mark.parametrize("status", [400, 413, 429])
async def test_a_refusal_without_its_json(make_agent: MakeAgent, network: InMemory, status: int) -> None:
    network.faults["lm1"] = lambda _: httpx.Response(status, content=b"[" * 10_000)
    async with make_agent() as agent:
        with pytest.raises(LicenseExpired, match=f"status_{status}"):
            await agent.ready()
    assert network.asked == ["lm1"]


async def test_nobody_reachable(make_agent: MakeAgent, network: InMemory) -> None:
    network.down()
    async with make_agent() as agent:
        with pytest.raises(LicenseExpired, match=r"lm1.*connection refused.*lm2.*connection refused.*check the addr"):
            await agent.ready()
        assert isinstance(agent.last_error, ManagerUnavailable)
        with pytest.raises(ManagerUnavailable):
            await agent.renew()


@pytest.mark.usefixtures("agreement")
async def test_an_endless_reply_is_cut(make_agent: MakeAgent, network: InMemory) -> None:
    network.faults["lm1"] = lambda _: httpx.Response(200, content=bytes(1 << 20))
    async with make_agent() as agent:
        await agent.ready()
    assert network.asked == ["lm1", "lm2"]


@pytest.mark.usefixtures("agreement")
async def test_an_old_reply_played_again_is_not_accepted(
    make_agent: MakeAgent, network: InMemory, clock: SimulatedClock, tmp_path: Path
) -> None:
    async with running(make_agent(), clock) as agent:
        token = agent.token
        old = cache_file(tmp_path).read_bytes()
        for host in ("lm1", "lm2"):
            network.faults[host] = lambda _: httpx.Response(200, content=old)
        with pytest.raises(ManagerUnavailable, match="answers another request"):
            await agent.renew()
        assert agent.token == token
        agent.ensure()


async def test_a_token_that_the_gateway_sealed_itself_is_not_accepted(
    make_agent: MakeAgent, network: InMemory, gateway: KeyPair, keyring: Keyring
) -> None:
    from nacl.signing import SigningKey

    from cryptoproto.licensing import LicenseToken

    binding = TokenBinding(gateway.public_key, "roq-deribit", config_hash("roq-deribit", ["A1"]))
    forged = LicenseToken.issue(binding, now_ns=START_NS, expires_ns=START_NS + SECOND, request_nonce=bytes(16))
    box = Channel(gateway, keyring.active(START_NS)[0].public.box_key).seal(
        sign_token(forged.encode(), SigningKey.generate())
    )
    network.faults = {host: lambda _: httpx.Response(200, content=box) for host in ("lm1", "lm2")}
    async with make_agent() as agent:
        with pytest.raises(LicenseExpired, match="not signed by the pinned manager"):
            await agent.ready()


@pytest.mark.usefixtures("agreement")
async def test_an_outage_for_the_whole_life_of_a_token(
    make_agent: MakeAgent, network: InMemory, clock: SimulatedClock
) -> None:
    states: list[LicenseState] = []
    expired: list[LicenseExpired] = []
    agent = make_agent(schedule=Schedule(grace_s=600), on_state=states.append, on_expired=expired.append)
    async with running(agent, clock):
        network.down()
        end = agent.token.expires_at_utc_ns
        await clock.advance(2 * HOUR - 1)
        assert state(agent) is LicenseState.LICENSED
        assert len(network.asked) > 60  # asked on and on, about once a minute
        await clock.advance(1)
        assert clock.true_ns() == end
        assert state(agent) is LicenseState.GRACE
        agent.ensure()
        await clock.advance(599)
        agent.ensure()
        assert expired == []
        await clock.advance(1)
        assert state(agent) is LicenseState.EXPIRED
        with pytest.raises(LicenseExpired, match="no license manager gave a usable answer"):
            agent.ensure()
        with pytest.raises(LicenseExpired):
            await agent.ready()
        await clock.advance(30)
        assert len(expired) == 1

        waiter = asyncio.create_task(agent.licensed())
        network.up()
        await clock.advance(80)
        assert (await waiter).expires_at_utc_ns > end
        agent.ensure()
    assert states[1:] == [LicenseState.LICENSED, LicenseState.GRACE, LicenseState.EXPIRED, LicenseState.LICENSED]


async def test_without_a_token_grace_counts_from_the_start(
    make_agent: MakeAgent, network: InMemory, clock: SimulatedClock
) -> None:
    network.down()
    async with running(make_agent(schedule=Schedule(grace_s=300)), clock) as agent:
        await agent.ready()
        assert state(agent) is LicenseState.GRACE
        with pytest.raises(LicenseExpired, match="no token was acquired yet"):
            _ = agent.token
        await clock.advance(299)
        agent.ensure()
        await clock.advance(1)
        with pytest.raises(LicenseExpired):
            agent.ensure()


@pytest.mark.usefixtures("agreement")
async def test_a_waiting_gateway_comes_when_the_lock_ends(make_agent: MakeAgent, clock: SimulatedClock) -> None:
    async with running(make_agent(logins=["A1"]), clock):
        pass
    async with running(make_agent(logins=["A2"]), clock) as agent:
        assert isinstance(agent.last_error, NoFreeLicense)
        waiter = asyncio.create_task(agent.licensed())
        await clock.advance(2 * HOUR - 1)
        assert not waiter.done()
        await clock.advance(3)  # told when to come: not up to a minute late
        assert (await waiter).binding.config_hash == config_hash("roq-deribit", ["A2"])


async def test_a_revoked_agreement_leaves_the_token_until_its_end(
    make_agent: MakeAgent, manager: LicenseManager, agreement: int, clock: SimulatedClock
) -> None:
    async with running(make_agent(), clock) as agent:
        manager.administration.revoke_agreement(agreement)
        await clock.advance(2 * HOUR - 1)
        agent.ensure()
        assert isinstance(agent.last_error, NoAgreement)
        await clock.advance(1)
        with pytest.raises(LicenseExpired, match="no agreement"):
            agent.ensure()


@pytest.mark.usefixtures("agreement")
async def test_a_callback_that_raises_does_not_end_the_renewals(make_agent: MakeAgent, clock: SimulatedClock) -> None:
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))

    def broken(state: LicenseState) -> None:
        raise RuntimeError("a bug of the user")

    async with running(make_agent(on_state=broken), clock) as agent:
        await clock.advance(HOUR)
        assert agent.token.issued_at_utc_ns > START_NS
    assert "a bug of the user" in str(heard[0]["exception"])


@pytest.mark.usefixtures("agreement")
@pytest.mark.parametrize("content", [b"", b"rubbish", b"x" * 10_000, bytes(400)])
async def test_a_corrupt_cache_file_is_reported_and_replaced(
    make_agent: MakeAgent, clock: SimulatedClock, tmp_path: Path, content: bytes
) -> None:
    async with running(make_agent(), clock):
        path = cache_file(tmp_path)
    path.write_bytes(content)
    async with make_agent() as agent:
        assert isinstance(agent.cache_error, TokenCacheError)
        assert path.name in str(agent.cache_error)
        assert path.read_bytes() == content
        await agent.ready()
        await clock.settled()
        assert cache_error(agent) is None
    assert path.read_bytes() != content


@pytest.mark.usefixtures("agreement")
async def test_a_cache_file_of_another_key_is_reported(
    make_agent: MakeAgent, clock: SimulatedClock, tmp_path: Path, network: InMemory, manager: LicenseManager
) -> None:
    other = KeyPair.generate()
    manager.administration.add_agreement(other.public_key, "*", licenses=1)
    async with running(make_agent(keys=other), clock):
        foreign = cache_file(tmp_path)
    network.down()
    agent = make_agent()
    foreign.rename(agent._keeper._cache.path)
    async with agent:
        with pytest.raises(LicenseExpired, match="not a token for these keys"):
            await agent.ready()


@pytest.mark.usefixtures("agreement")
async def test_a_full_disk_keeps_the_token_in_memory_and_the_old_one_on_disk(
    make_agent: MakeAgent, clock: SimulatedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(make_agent(), clock) as agent:
        path = cache_file(tmp_path)
        old = path.read_bytes()

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            token = await agent.renew()
            assert "license token cannot be written: No space left on device; an earlier" in str(agent.cache_error)
            assert agent.token == token
            agent.ensure()
            assert path.read_bytes() == old
            assert list(path.parent.iterdir()) == [path]  # no scratch file stays behind
        await clock.advance(31)  # tried again by itself
        assert agent.cache_error is None
        assert path.read_bytes() != old


@pytest.mark.usefixtures("agreement")
async def test_a_folder_that_cannot_be_made(make_agent: MakeAgent, clock: SimulatedClock, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with running(make_agent(cache_dir=tmp_path / "file" / "cache"), clock) as agent:
        agent.ensure()
        assert isinstance(agent.cache_error, TokenCacheError)


async def test_a_token_installed_by_hand_is_found_by_a_running_agent(
    make_agent: MakeAgent, network: InMemory, manager: LicenseManager, gateway: KeyPair, clock: SimulatedClock
) -> None:
    network.down()
    async with running(make_agent(), clock) as agent:
        with pytest.raises(LicenseExpired):
            agent.ensure()
        binding = TokenBinding(gateway.public_key, "roq-deribit", config_hash("roq-deribit", ["A1"]))
        token, box = manager.administration.grant(manager.generations[0], binding, period_s=86_400, without_lock=True)
        agent._keeper._cache.write(box)
        await clock.advance(75)
        agent.ensure()
        assert agent.token == token
        asked = len(network.asked)
        await clock.advance(HOUR)
        assert len(network.asked) == asked  # renewed at a quarter of its day, not before


@pytest.mark.usefixtures("agreement")
async def test_cached_tokens_survive_a_rotation(
    make_agent: MakeAgent, clock: SimulatedClock, keyring: Keyring, network: InMemory
) -> None:
    async with running(make_agent(), clock) as agent:
        token = agent.token
    network.down()
    pinned = [each.public for each in keyring.rotated(START_NS, 600).active(START_NS)]
    async with make_agent(manager_key=pinned) as agent:
        assert agent.token == token


@pytest.mark.usefixtures("agreement")
@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
async def test_a_clock_that_jumps_neither_shortens_nor_lengthens_a_token(
    make_agent: MakeAgent,
    clock: SimulatedClock,
    network: InMemory,
    jump_s: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(make_agent(), clock) as agent:
        network.down()
        clock.wall_error_s = jump_s
        with caplog.at_level(logging.WARNING):
            await clock.advance(31)
        assert f"jumped by {jump_s:+.0f} s" in caplog.text
        assert len(network.asked) > 1  # asked at once
        agent.ensure()
        await clock.advance(2 * HOUR - 32)
        agent.ensure()
        await clock.advance(1)
        with pytest.raises(LicenseExpired):
            agent.ensure()
        network.up()
        await clock.advance(75)
        agent.ensure()  # the manager's own time was used for the request: its freshness check let it pass


@pytest.mark.usefixtures("agreement")
async def test_a_wrong_clock_from_the_start_is_reported_and_its_correction_noticed(
    make_agent: MakeAgent, clock: SimulatedClock
) -> None:
    clock.wall_error_s = -3600.0
    async with running(make_agent(), clock) as agent:
        assert isinstance(agent.last_error, RequestStale)
        with pytest.raises(LicenseExpired, match="3600 s behind the manager's; set the clock"):
            agent.ensure()
        clock.wall_error_s = 0.0
        await clock.advance(31)
        agent.ensure()


@pytest.mark.usefixtures("agreement")
async def test_a_cached_token_from_the_future_is_not_used(
    make_agent: MakeAgent, clock: SimulatedClock, network: InMemory
) -> None:
    async with running(make_agent(), clock):
        pass
    network.down()
    clock.wall_error_s = -3600.0
    async with make_agent() as agent:
        assert isinstance(agent.cache_error, InvalidToken)
        with pytest.raises(LicenseExpired, match="set the clock"):
            await agent.ready()


@pytest.mark.usefixtures("agreement")
async def test_an_ended_cached_token_is_not_used(
    make_agent: MakeAgent, clock: SimulatedClock, network: InMemory
) -> None:
    async with running(make_agent(), clock):
        pass
    network.down()
    await_s = 2 * HOUR
    clock._steady_ns += int(await_s * SECOND)
    async with make_agent() as agent:
        with pytest.raises(LicenseExpired, match="the token expired at"):
            await agent.ready()


async def test_everything_published_is_sent_and_nothing_secret(make_agent: MakeAgent, gateway: KeyPair) -> None:
    recorder = ActivityRecorder()
    recorder.symbols, recorder.total_symbols, recorder.users = 3, 500, 2
    recorder.count("create_order")
    recorder.count("cancel_order", 4)
    for duration in (100, 500, 501, 20_000, 20_001, -5):
        recorder.internal_latency.observe(duration)
    recorder.external_latency.observe(1_000_000_000)
    recorder.external_latency.observe(1_000_000_001)
    deployment = Deployment(package_version="1.2.3", service_name="desk-7", api="ws", is_uat=True, journal=True)
    agent = make_agent(client=recorder, deployment=deployment)
    agent.please_report("orders\nslow")
    request = await agent.compose_request()
    await agent.close()
    sent = request.to_plain()
    assert list(sent) == [*PUBLISHED.split(), "nonce"]
    assert {name: sent[name] for name in ("symbols", "total_symbols", "users", "create_order", "cancel_order")} == {
        "symbols": 3, "total_symbols": 500, "users": 2, "create_order": 1, "cancel_order": 4,
    }  # fmt: skip
    internal = [value for name, value in sent.items() if name.startswith("internal_latency_count")]
    external = [value for name, value in sent.items() if name.startswith("external_latency_count")]
    assert internal == [3, 4, 4, 4, 4, 5, 6]
    assert external == [0, 0, 0, 0, 0, 1, 2]
    assert sent["internal_latency_sum"] == 41_102
    assert sent["please_report"] == 1
    assert sent["please_report_details"] == "orders slow"
    assert sent["package_version"] == "1.2.3"
    assert sent["is_uat"] is True
    assert sent["kernel_name"] == os.uname().sysname
    assert sent["process_id"] == os.getpid()
    assert sent["system_total_memory"] > 0
    assert sent["accounts"] == 1
    assert sent["token_expiry_time_utc"] - sent["request_time_utc"] == 7200 * SECOND
    secret = gateway.to_fields()["secret_key"]
    assert secret not in request.to_json()
    assert LicenseRequest.decode(request.encode()).fields == request.fields


async def test_names_can_be_withheld(make_agent: MakeAgent) -> None:
    deployment = Deployment(service_name="desk-7", package_build_host="ci-3")
    names = ("service_name", "hostname", "network_hostname", "package_build_host")
    agent = make_agent(deployment=deployment, withhold=names)
    request = await agent.compose_request()
    await agent.close()
    assert [request.fields[name] for name in names] == [None] * 4
    assert os.uname().nodename not in request.to_json()
    with pytest.raises(cp.ConfigurationError, match="process_id cannot be withheld; these can: hostname"):
        make_agent(withhold=["process_id"])


async def test_an_account_that_was_not_named_is_objected_to(
    make_agent: MakeAgent, manager: LicenseManager, gateway: KeyPair
) -> None:
    manager.administration.add_agreement(gateway.public_key, "*", licenses=1)
    recorder = ActivityRecorder()
    recorder.accounts = 1
    async with make_agent(client=recorder, logins=[]) as agent:
        with pytest.raises(
            LicenseExpired, match="accounts: 1, but config_hash has no logins; accounts must be above 0 if and only if"
        ):
            await agent.ready()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"package": ""}, "package name"),
        ({"logins": "A1"}, "pass a list"),
        ({"keys": "missing.json"}, "no such key file"),
        ({"manager_key": "missing.json"}, "no such manager key file"),
        ({"verify": "missing.pem"}, "cannot be used as PEM"),
        ({"client": object()}, "no metrics"),
    ],
)
def test_arguments_that_cannot_be_used(make_agent: MakeAgent, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=complaint):
        make_agent(**changes)


@pytest.mark.usefixtures("agreement")
async def test_an_agent_is_entered_once_and_waits_for_nothing_when_closed(
    make_agent: MakeAgent, clock: SimulatedClock
) -> None:
    agent = make_agent()
    with pytest.raises(LicenseExpired, match="not running"):
        await agent.ready()
    async with running(agent, clock):
        with pytest.raises(cp.ConfigurationError, match="entered only once"):
            await agent.__aenter__()
    assert "roq-deribit licensed" in repr(agent)


@pytest.mark.usefixtures("agreement")
async def test_a_bug_in_a_users_metrics_is_reported_and_survived(make_agent: MakeAgent, clock: SimulatedClock) -> None:
    class Broken(ActivityRecorder):
        works = False

        def metrics(self) -> Any:
            return super().metrics() if self.works else 1 // 0

    broken = Broken()
    async with running(make_agent(client=broken), clock) as agent:
        with pytest.raises(LicenseExpired, match="division"):
            await agent.ready()
        broken.works = True
        await clock.advance(75)
        agent.ensure()


# --- what is announced, and when -----------------------------------------------------------------------


@pytest.mark.usefixtures("agreement")
async def test_a_token_is_announced_after_it_is_cached(
    make_agent: MakeAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends as soon as it is licensed has a token for its next start."""
    written = threading.Event()
    genuine = os.fsync

    def slow(descriptor: int) -> None:
        written.wait(0.05)  # long enough for an announcement that does not wait for the disk
        genuine(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    files: list[list[Path]] = []
    async with make_agent(on_state=lambda _: files.append(list(tmp_path.glob("cache/*.token")))) as agent:
        await agent.ready()
        assert cache_file(tmp_path).suffix == ".token"
        await asyncio.sleep(0)
    assert [len(each) for each in files] == [0, 1]


@pytest.mark.usefixtures("agreement")
async def test_states_are_a_stream_that_ends_with_the_agent(make_agent: MakeAgent, clock: SimulatedClock) -> None:
    agent = make_agent()
    states = agent.states()
    async with running(agent, clock):
        assert await anext(states) is LicenseState.STARTING
        assert await anext(states) is LicenseState.LICENSED
    assert [each async for each in states] == []
    assert [each async for each in agent.states()] == [LicenseState.LICENSED]


async def test_grace_and_expiry_are_in_the_stream(
    make_agent: MakeAgent, network: InMemory, clock: SimulatedClock
) -> None:
    network.down()
    async with running(make_agent(schedule=Schedule(grace_s=600)), clock) as agent:
        states = agent.states()
        assert await anext(states) is LicenseState.GRACE
        await clock.advance(600)
        assert await anext(states) is LicenseState.EXPIRED


async def test_those_who_wait_learn_that_the_agent_was_closed(
    make_agent: MakeAgent, clock: SimulatedClock, network: InMemory
) -> None:
    network.down()
    async with running(make_agent(), clock) as agent:
        waiter = asyncio.create_task(agent.licensed())
        await asyncio.sleep(0)
    with pytest.raises(LicenseExpired, match="not running"):
        await waiter


async def test_an_agent_that_fails_says_why(
    make_agent: MakeAgent, clock: SimulatedClock, network: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.down()
    async with running(make_agent(), clock) as agent:
        waiter = asyncio.create_task(agent.licensed())
        await asyncio.sleep(0)
        monkeypatch.setattr(agent._standing, "jumped", lambda *_: 1 // 0)
        clock.leave()
        await clock.advance(60)
        with pytest.raises(LicenseExpired, match=r"not running: .*division"):
            await waiter


async def test_a_token_installed_by_hand_is_not_replaced_by_a_shorter_one(
    make_agent: MakeAgent,
    manager: LicenseManager,
    gateway: KeyPair,
    clock: SimulatedClock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager.administration.add_agreement(gateway.public_key, "roq-*", licenses=1)
    binding = TokenBinding(gateway.public_key, "roq-deribit", config_hash("roq-deribit", ["A1"]))
    long, box = manager.administration.grant(manager.generations[0], binding, period_s=30 * 86_400)
    async with running(make_agent(), clock) as agent:
        assert agent.token != long
        agent._keeper._cache.write(box)  # while it is licensed
        with caplog.at_level(logging.INFO):
            assert await agent.renew() == long
        assert "the cached token lasts longer" in caplog.text
        assert agent.token == long
        assert cache_file(tmp_path).read_bytes() == box
        renewed_ns = manager.administration.locks()[0].renewed_ns
        await clock.advance(HOUR)
        assert manager.administration.locks()[0].renewed_ns > renewed_ns  # at the pace of the tokens of 2 hours
        assert agent.token == long
    async with running(make_agent(), clock) as agent:
        assert agent.token == long
        assert cache_file(tmp_path).read_bytes() == box


@pytest.mark.usefixtures("agreement")
async def test_a_renewal_at_the_time_of_an_attempt_is_enough(
    make_agent: MakeAgent, clock: SimulatedClock, network: InMemory
) -> None:
    async with running(make_agent(), clock) as agent:
        asked = len(network.asked)
        agent._next_attempt = clock.steady_ns()
        renewing = asyncio.create_task(agent.renew())
        await asyncio.sleep(0)
        await clock.advance(31)
        await renewing
        assert len(network.asked) == asked + 1
        assert agent.recorder.metrics().create_order == 0
