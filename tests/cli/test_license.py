"""Each license command once as it is meant, and the obvious mistakes."""

from __future__ import annotations

import builtins
import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cryptoproto.cli.app import run
from cryptoproto.licensing import KeyPair, LicenseManager
from cryptoproto.licensing.agent import agent, manager_link
from tests.licensing.worlds import InMemory

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command_line: None) -> Cli:
    """Runs a command in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cryptoproto", "license", *arguments])
        try:
            code: Any = run()
        except SystemExit as end:
            code = end.code
        out, error = capsys.readouterr()
        return int(code or 0), out, error

    return call


@pytest.fixture
def world(cli: Cli) -> str:
    """Keys of both sides and an agreement for one license; the gateway's public key."""
    code, public_key, _ = cli("keygen", "keys.json")
    assert code == 0
    assert cli("manager-key", "manager.json")[0] == 0
    assert cli("agreement", "add", "--licenses", "1", "--", public_key.strip(), "gw*")[0] == 0
    return public_key.strip()


GATEWAY = ("--keys", "keys.json", "--manager-key", "manager.pub.json", "--package", "gw", "--cache-dir", "cache")


def test_keygen(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("keygen", "keys.json")
    assert code == 0
    assert KeyPair.load(tmp_path / "keys.json").public_key == out.strip()
    code, _, error = cli("keygen", "keys.json")
    assert code == 2
    assert "already exists" in error
    code, out, _ = cli("keygen", "keys.json", "--overwrite", "--json")
    assert code == 0
    assert KeyPair.load(tmp_path / "keys.json").public_key == json.loads(out)["public_key"]


def test_manager_keys_and_their_rotation(cli: Cli, tmp_path: Path) -> None:
    assert cli("manager-key", "manager.json")[0] == 0
    assert stat.S_IMODE((tmp_path / "manager.json").stat().st_mode) == 0o600
    first = json.loads((tmp_path / "manager.pub.json").read_text())["manager_keys"]
    assert cli("manager-key", "manager.json")[0] == 2
    code, out, _ = cli("manager-key", "manager.json", "--rotate", "--overlap", "1d", "--database", "db", "--json")
    assert code == 0
    keys = json.loads((tmp_path / "manager.pub.json").read_text())["manager_keys"]
    assert keys[1:] == first
    assert json.loads(out)["manager_keys"] == keys
    assert "signing" not in (tmp_path / "manager.pub.json").read_text() + out
    assert "key rotation" in cli("audit", "--database", "db")[1]


def test_what_would_be_sent(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "gw.toml").write_text('[accounts.a]\nlogin = "A1"\nsecret = "hunter2"\n')
    code, out, _ = cli("show-request", "--package", "gw", "--config", "gw.toml", "--withhold", "hostname", "--json")
    assert code == 0
    sent = json.loads(out)
    assert sent["hostname"] is None
    assert sent["accounts"] == 1
    assert "hunter2" not in out
    code, digest, _ = cli("config-hash", "--package", "gw", "--login", "A1")
    assert sent["config_hash"] == digest.strip()
    assert "hostname" in cli("show-request", "--package", "gw")[1]
    code, _, error = cli("show-request", "--package", "gw", "--config", "gw.toml", "--login", "A1")
    assert code == 2
    assert "not with both" in error
    (tmp_path / "gw.toml").write_text("[accounts.a]\n")
    assert "[accounts.a] has no login" in cli("config-hash", "--package", "gw", "--config", "gw.toml")[2]


def test_a_token_by_hand(cli: Cli, world: str) -> None:
    grant = ("grant", "t.bin", "--keys", "manager.json", f"--public-key={world}", "--package", "gw", "--login", "A1")
    code, _, error = cli("install", "t.bin", *GATEWAY, "--login", "A1")
    assert code == 2
    assert "cannot be read" in error
    assert cli(*grant, "--period", "2d")[0] == 0
    assert "already exists" in cli(*grant, "--period", "2d")[2]
    assert json.loads(cli("locks", "--json")[1])[0]["session_id"] == "granted by hand"
    code, _, error = cli("install", "t.bin", *GATEWAY, "--login", "A2")
    assert code == 1
    assert "another set of logins" in error
    assert cli("show-token", *GATEWAY, "--login", "A1")[0] == 1
    assert cli("install", "t.bin", *GATEWAY, "--login", "A1")[0] == 0
    code, out, _ = cli("show-token", *GATEWAY, "--login", "A1", "--json")
    assert code == 0
    assert json.loads(out)["package"] == "gw"
    digest = cli("config-hash", "--package", "gw", "--login", "A1")[1].strip()
    release = ("release", f"--public-key={world}", "--package", "gw", "--config-hash", digest)
    assert cli(*release)[0] == 0
    assert cli(*release)[0] == 1
    assert "no locks" in cli("locks")[1]
    actions = [row["action"] for row in json.loads(cli("audit", "--json")[1])]
    assert actions == ["agreement add", "grant", "release"]


@pytest.mark.usefixtures("world")
def test_acquiring_and_usage(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LicenseManager(tmp_path / "licenses.db", tmp_path / "manager.json") as manager:
        original = manager_link.ManagerLink
        network = InMemory(lm=manager)
        monkeypatch.setattr(
            agent, "ManagerLink", lambda urls, **options: original(urls, **options | {"transport": network})
        )
        code, out, _ = cli("acquire", "https://lm", *GATEWAY, "--login", "A1", "--json")
        assert code == 0
        assert json.loads(out)["expires_at"].endswith("+00:00")
        code, _, error = cli("acquire", "https://lm", *GATEWAY, "--login", "A2")
        assert code == 1
        assert "no_free_license" in error
        network.faults["lm"] = lambda _: httpx.Response(503)
        assert "HTTP status 503" in cli("acquire", "https://lm", *GATEWAY, "--login", "A1")[2]
    rows = json.loads(cli("usage", "--json")[1])
    assert sorted((row["granted"], row["refused"]) for row in rows) == [(0, 1), (1, 0)]
    assert len(cli("usage", "--csv")[1].splitlines()) == 3
    assert "no_free_license" in cli("usage")[1]
    assert cli("usage", "--since", "tomorrow")[0] == 2
    assert cli("usage", "--csv", "--json")[0] == 2


def test_agreements(cli: Cli, world: str) -> None:
    assert [row["public_key"] for row in json.loads(cli("agreement", "list", "--json")[1])] == [world]
    assert world in cli("agreement", "list")[1]
    assert cli("agreement", "revoke", "1")[0] == 0
    code, _, error = cli("agreement", "revoke", "1")
    assert code == 1
    assert "no agreement 1" in error
    assert "no agreements" in cli("agreement", "list")[1]
    assert len(json.loads(cli("agreement", "list", "--all", "--json")[1])) == 1
    code, _, error = cli("agreement", "add", "x", "gw", "--licenses", "1")
    assert code == 2
    assert "44" in error


def test_a_missing_database_is_a_failure(cli: Cli) -> None:
    code, out, error = cli("locks")
    assert (code, out) == (1, "")
    assert "no such license database" in " ".join(error.split())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("serve", "--keys", "none.json"), "no such manager key file"),
        (("grant", "t", "--keys", "k", "--public-key=x", "--package", "p", "--period", "1d"), "no such license data"),
        (("acquire", "https://lm", *GATEWAY), "no such key file"),
        (("release", "--public-key=x", "--package", "p", "--config-hash", "zz"), "64 hexadecimal digits"),
        (("release", "--public-key=x", "--package", "p", "--config-hash", "00", "--login", "A"), "not both"),
        (("manager-key", "m.json", "--rotate"), "no such manager key file"),
    ],
)
def test_mistakes_are_one_sentence_and_a_usage_error(cli: Cli, arguments: tuple[str, ...], complaint: str) -> None:
    code, out, error = cli(*arguments)
    assert code == 2
    assert out == ""
    assert complaint in " ".join(error.split())
    assert "Traceback" not in error


def test_a_duration_that_is_none(cli: Cli, world: str) -> None:
    code, _, error = cli("agreement", "add", "--licenses", "1", "--lock-period", "soon", "--", world, "gw")
    assert code == 2
    assert "write 90s, 15m, 2h or 30d" in error


@pytest.mark.parametrize(
    "command",
    [
        *("keygen", "config-hash", "show-request", "acquire", "install", "show-token"),
        *("manager-key", "serve", "locks", "release", "grant", "usage", "audit"),
        *("agreement add", "agreement list", "agreement revoke"),
    ],
)
def test_every_help_has_an_example(cli: Cli, command: str) -> None:
    code, out, _ = cli(*command.split(), "--help")
    assert code == 0
    assert f"Example: cryptoproto license {command}" in " ".join(out.replace("│", " ").split())


def test_a_missing_extra_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptoproto.licensing") or name == "nacl"]:
        monkeypatch.delitem(sys.modules, name)
    genuine = builtins.__import__

    def without_nacl(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == "nacl":
            raise ModuleNotFoundError("No module named 'nacl'", name="nacl")
        return genuine(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_nacl)
    code, _, error = cli("keygen", "keys.json")
    assert code == 2
    assert "pip install 'cryptoproto[licensing]'" in " ".join(error.split())
