"""``gateway run`` and ``gateway config``, with real processes."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock
from urllib.request import urlopen

import pytest

import cryptoproto
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Program, Shell, start
from tests.support.nats_server import NatsServer, nats_server


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    folder = tmp_path / "nats"
    folder.mkdir()
    with nats_server(folder) as server:
        yield server


@pytest.fixture
def desk(shell: Shell, venue: Exchange, nats: NatsServer) -> Shell:
    shell.environment["CRYPTOPROTO_NATS"] = nats.url
    return shell


def environment(desk: Shell) -> dict[str, str]:
    return {name: value for name, value in desk.environment.items() if value is not None}


def next_line(program: Program) -> dict[str, object]:
    assert program.process.stdout is not None
    line: dict[str, object] = json.loads(program.process.stdout.readline())
    return line


def test_sigterm_hands_the_session_over(desk: Shell) -> None:
    command = ("gateway", "run", "--json", "--lease", "20")
    with start(*command, cwd=desk.folder, env=environment(desk)) as first:
        assert json.loads(first.first_line) == {"event": "standby"}
        assert next_line(first)["event"] == "owner"
        with start(*command, cwd=desk.folder, env=environment(desk)) as second:
            assert first.kill(signal.SIGTERM) == 143
            assert next_line(second)["event"] == "owner"
            assert second.kill(signal.SIGTERM) == 143


def test_for_people_and_with_metrics(desk: Shell) -> None:
    with start("gateway", "run", "--metrics-port", "0", cwd=desk.folder, env=environment(desk)) as gateway:
        assert gateway.process.stdout is not None
        assert "standing by for the session of alice" in gateway.first_line
        assert "owner of the session of alice, fence" in gateway.process.stdout.readline()
        assert gateway.process.stderr is not None
        url = gateway.process.stderr.readline().partition("metrics: ")[2].strip()
        with urlopen(url) as answer:
            text = answer.read().decode()
        assert 'cryptoproto_gateway_is_owner{client_id="alice"} 1.0' in text
        assert 'cryptoproto_gateway_takeovers_total{client_id="alice"} 1.0' in text


def test_market_data_from_a_process_of_its_own(desk: Shell) -> None:
    command = ("gateway", "feed", "--client-id", "alice", "--market-data", "ws://127.0.0.1:1", "--lease", "20")
    with start(*command, "--json", cwd=desk.folder, env=environment(desk)) as first:
        assert json.loads(first.first_line) == {"event": "standby"}
        assert next_line(first)["event"] == "publishing"
        with start(*command, cwd=desk.folder, env=environment(desk)) as second:
            assert "standing by for the market data of alice" in second.first_line
            assert first.kill(signal.SIGTERM) == 143
            assert second.process.stdout is not None
            assert "publishing the market data of alice, fence" in second.process.stdout.readline()
            assert second.kill(signal.SIGTERM) == 143


def test_without_nats_there_is_no_connection(desk: Shell) -> None:
    desk.environment["CRYPTOPROTO_NATS"] = "nats://127.0.0.1:1"
    with mock.patch("cryptoproto.gateway.nats_connection._OPEN_S", 0.3):
        result = desk("gateway", "status", "--json")
    assert result.code == 3
    assert json.loads(result.err)["error"] == "GatewayError"
    assert "is nats-server running?" in result.err


def test_a_missing_extra_is_named(desk: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(cryptoproto), "gateway", raising=False)
    for name in [each for each in sys.modules if each.startswith(("cryptoproto.gateway", "nats"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nats", None)
    result = desk("gateway", "status")
    assert result.code == 2
    assert "pip install 'cryptoproto[gateway]'" in result.err


def test_certificates_that_cannot_be_read(desk: Shell) -> None:
    result = desk("gateway", "status", "--nats-ca", "missing.pem")
    assert result.code == 2
    assert "missing.pem: the certificates cannot be read" in result.err


def test_config_writes_a_server_that_the_commands_can_use(shell: Shell) -> None:
    written = shell(
        "gateway",
        "config",
        "desk",
        "--client-id",
        "alice",
        "--strategy",
        "mm1",
        "--store",
        shell.folder / "js",
        "--json",
    )
    assert written.code == 0, written.err
    (files,) = written.lines
    assert list(files["strategies"]) == ["mm1"]
    (shell.folder / "server").mkdir()
    with nats_server(shell.folder / "server", shell.folder / files["configs"][0]) as nats:
        status = shell(
            "gateway", "status", "--client-id", "alice", "--nats", nats.url, "--nkey", shell.folder / files["operator"]
        )
        assert status.code == 3
        assert "no gateway owns the session of 'alice'" in status.err
        refused = shell("gateway", "status", "--client-id", "alice", "--nats", nats.url)
        assert refused.code == 3
        assert "Authorization" in refused.err


def test_config_for_people_and_for_a_cluster(shell: Shell) -> None:
    servers = [word for name in ("n1", "n2", "n3") for word in ("--server", name)]
    result = shell("gateway", "config", "desk", "--client-id", "alice", *servers, "--strategy", "mm1")
    assert result.code == 2
    assert "without TLS" in result.err
    result = shell("gateway", "config", "desk", "--client-id", "alice", *servers, "--strategy", "mm1", "--insecure")
    assert result.code == 0
    assert "nats-server -c desk/n2.conf" in result.out
    assert "strategy-mm1.nk" in result.out
    assert "nats-route://cluster:" in (shell.folder / "desk" / "n1.conf").read_text()
