"""Each license command once as it is meant, and the obvious mistakes."""

from __future__ import annotations

import builtins
import json
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cryptoproto.licensing import KeyPair, LicenseManager
from cryptoproto.licensing.agent import agent, manager_link
from tests.support.command_line import run
from tests.support.licensing.worlds import InMemory

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs a license command in an empty folder: exit code, standard output, standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        result = run("license", *arguments, cwd=tmp_path)
        return result.code, result.out, result.err

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
    assert code != 0
    assert "another set of logins" in error
    assert cli("show-token", *GATEWAY, "--login", "A1")[0] != 0
    assert cli("install", "t.bin", *GATEWAY, "--login", "A1")[0] == 0
    code, out, _ = cli("show-token", *GATEWAY, "--login", "A1", "--json")
    assert code == 0
    assert json.loads(out)["package"] == "gw"
    digest = cli("config-hash", "--package", "gw", "--login", "A1")[1].strip()
    release = ("release", f"--public-key={world}", "--package", "gw", "--config-hash", digest)
    assert cli(*release)[0] == 0
    assert cli(*release)[0] != 0
    assert "no locks" in cli("locks")[1]
    actions = [row["action"] for row in json.loads(cli("audit", "--json")[1])]
    assert actions == ["agreement add", "grant", "release"]


def test_what_is_done_is_shown_as_json(cli: Cli, world: str, tmp_path: Path) -> None:
    def shown(*arguments: str) -> Any:
        code, out, error = cli(*arguments)
        assert code == 0, error
        return json.loads(out)

    agreement = shown("agreement", "add", "--licenses", "2", "--json", "--", world, "other")
    assert (agreement["package"], agreement["licenses"], agreement["revoked"]) == ("other", 2, None)
    hashed = shown("config-hash", "--package", "gw", "--login", "B1", "--login", "A1", "--login", "A1", "--json")
    assert (hashed["package"], hashed["logins"]) == ("gw", ["A1", "B1"])
    gateway = (f"--public-key={world}", "--package", "gw", "--config-hash", hashed["config_hash"])
    granted = shown("grant", "t.bin", "--keys", "manager.json", *gateway, "--period", "2d", "--json")
    assert granted["path"] == "t.bin"
    assert granted["expires_at"].endswith("+00:00")
    assert (tmp_path / "t.bin").exists()
    assert shown("usage", "--since", "2026-01-01", "--json") == []
    assert shown("release", *gateway, "--json") == {"released": hashed["config_hash"]}
    assert shown("locks", "--json") == []
    revoked = shown("agreement", "revoke", str(agreement["id"]), "--json")
    assert revoked["id"] == agreement["id"]
    assert revoked["revoked"] is not None


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
        assert code != 0
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
    assert code != 0
    assert "no agreement 1" in error
    assert "no agreements" in cli("agreement", "list")[1]
    assert len(json.loads(cli("agreement", "list", "--all", "--json")[1])) == 1
    code, _, error = cli("agreement", "add", "x", "gw", "--licenses", "1")
    assert code == 2
    assert "44" in error


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("locks",), 1, "no such license database"),
        (("serve", "--keys", "none.json"), 2, "no such manager key file"),
        (
            ("grant", "t", "--keys", "k", "--public-key=x", "--package", "p", "--period", "1d"),
            2,
            "no such license data",
        ),
        (("acquire", "https://lm", *GATEWAY), 2, "no such key file"),
        (("release", "--public-key=x", "--package", "p", "--config-hash", "zz"), 2, "64 hexadecimal digits"),
        (("release", "--public-key=x", "--package", "p", "--config-hash", "00", "--login", "A"), 2, "not both"),
        (("manager-key", "m.json", "--rotate"), 2, "no such manager key file"),
    ],
)
def test_a_mistake_is_explained_in_one_sentence(
    cli: Cli, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    ended, out, error = cli(*arguments)
    assert ended == code
    assert out == ""
    assert complaint in " ".join(error.split())
    assert "Traceback" not in error


def test_an_invalid_duration(cli: Cli, world: str) -> None:
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


def test_a_missing_extra_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_every_field_that_a_gateway_sends_is_shown(cli: Cli) -> None:
    given = (
        *("--package-version", "1.2.3", "--build-number", "77", "--build-host", "ci-3", "--service-name", "desk"),
        *("--api-name", "Venue", "--api", "ws", "--instance", "i1", "--feature", "journal", "--feature", "event_log"),
    )
    code, out, error = cli("show-request", "--package", "gw", "--login", "A1", "--uat", *given, "--json")
    assert code == 0, error
    sent = json.loads(out)
    names = ("package_version", "package_build_number", "package_build_host", "service_name", "api_name", "api")
    assert [sent[name] for name in names] == ["1.2.3", "77", "ci-3", "desk", "Venue", "ws"]
    assert (sent["instance"], sent["is_uat"]) == ("i1", True)
    assert (sent["journal"], sent["event_log"], sent["risk_manager"]) == (True, True, False)
    assert len(sent["session_id"]) == 32


def test_why_a_field_has_no_value(cli: Cli) -> None:
    code, out, _ = cli("show-request", "--package", "gw", "--withhold", "hostname")
    assert code == 0
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}
    assert shown["hostname"] == "(withheld)"
    assert shown["package_version"] == "(set by the gateway's software; not given here)"
    assert shown["please_report_details"] == "(not available here)"
    assert shown["session_id"].endswith("(random, a new one for each run)")
    assert shown["journal"] == "False"
    assert "cannot be withheld" in cli("show-request", "--package", "gw", "--withhold", "nonce")[2]
    assert "--feature speed: not a feature" in cli("show-request", "--package", "gw", "--feature", "speed")[2]


@pytest.fixture
def network(world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemory]:
    """A manager at https://lm."""
    original = manager_link.ManagerLink
    with LicenseManager(tmp_path / "licenses.db", tmp_path / "manager.json") as manager:
        network = InMemory(lm=manager)
        monkeypatch.setattr(
            agent, "ManagerLink", lambda urls, **options: original(urls, **options | {"transport": network})
        )
        yield network


@pytest.mark.usefixtures("network")
def test_acquire_sends_what_it_is_given(cli: Cli) -> None:
    code, _, error = cli(
        "acquire", "https://lm", *GATEWAY, "--login", "A1", "--package-version", "1.2.3", "--api", "ws"
    )
    assert code == 0, error
    (row,) = json.loads(cli("usage", "--json")[1])
    assert (row["facts"]["package_version"], row["facts"]["api"]) == ("1.2.3", "ws")


@pytest.mark.usefixtures("network")
def test_a_longer_token_is_replaced_only_on_request(cli: Cli, world: str) -> None:
    grant = ("--keys", "manager.json", f"--public-key={world}", "--package", "gw", "--login", "A1")
    for name, period in (("long.bin", "30d"), ("short.bin", "1d")):
        assert cli("grant", name, *grant, "--period", period)[0] == 0
    code, out, _ = cli("install", "long.bin", *GATEWAY, "--login", "A1", "--json")
    assert code == 0
    long = json.loads(out)["token_id"]
    code, out, error = cli("install", "short.bin", *GATEWAY, "--login", "A1")
    assert code != 0
    assert "longer than this one" in " ".join(error.split())
    assert "use --replace to install it anyway" in " ".join(error.split())
    code, out, error = cli("acquire", "https://lm", *GATEWAY, "--login", "A1", "--json")
    assert code == 0
    assert json.loads(out)["token_id"] == long
    assert "the cached token lasts longer than the new one, and was kept" in error
    assert json.loads(cli("show-token", *GATEWAY, "--login", "A1", "--json")[1])["token_id"] == long
    assert cli("install", "short.bin", *GATEWAY, "--login", "A1", "--replace")[0] == 0
    assert json.loads(cli("show-token", *GATEWAY, "--login", "A1", "--json")[1])["token_id"] != long


def test_a_broken_cache_does_not_keep_a_token_away(cli: Cli, network: InMemory, tmp_path: Path) -> None:
    assert cli("acquire", "https://lm", *GATEWAY, "--login", "A1")[0] == 0
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(b"rubbish")
    assert cli("acquire", "https://lm", *GATEWAY, "--login", "A1")[0] == 0
    path.unlink()
    path.mkdir()
    code, _, error = cli("acquire", "https://lm", *GATEWAY, "--login", "A1")
    assert code != 0
    assert "the license token cannot be written" in " ".join(error.split())


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("columns", ["40", "80", "250"])
def test_locks_and_usage_can_be_read_at_any_width(world: str, columns: str, tmp_path: Path) -> None:
    def cli(*arguments: str) -> tuple[int, str, str]:
        result = run("license", *arguments, cwd=tmp_path, env={"COLUMNS": columns})
        return result.code, result.out, result.err

    digest = cli("config-hash", "--package", "gw", "--login", "A1")[1].strip()
    assert cli("acquire", "https://lm", *GATEWAY, "--login", "A1")[0] == 0
    assert cli("acquire", "https://lm", *GATEWAY, "--login", "A2")[0] != 0
    for command, words in (("locks", ("config hash", "acquired")), ("usage", ("config hash", "no_free_license"))):
        code, out, _ = cli(command)
        assert code == 0
        for text in (world, digest, *words):
            assert any(text in line for line in out.splitlines()), (command, text)  # neither cut nor wrapped
        if columns == "80":
            assert max(map(len, out.splitlines())) <= 80
        if columns == "250":
            assert len(out.splitlines()) <= 3
    assert world in cli("agreement", "list")[1]


def test_config_hash_needs_no_extra(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = cli("config-hash", "--package", "gw", "--login", "A1")
    missing = ("httpx", "nacl", "flatbuffers", "psutil")
    for name in [name for name in sys.modules if name.startswith("cryptoproto.licensing")]:
        monkeypatch.delitem(sys.modules, name)
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    assert cli("config-hash", "--package", "gw", "--login", "A1") == expected
    code, _, error = cli("keygen", "keys.json")
    assert code != 0
    assert "pip install 'cryptoproto[licensing]'" in " ".join(error.split())


def test_files_that_cannot_be_written(cli: Cli, world: str, tmp_path: Path) -> None:
    code, _, error = cli("manager-key", "other.json", "--public", "nowhere/other.pub.json")
    assert code != 0
    assert "the secret keys are saved in other.json" in " ".join(error.split())
    grant = ("--keys", "manager.json", f"--public-key={world}", "--package", "gw", "--login", "A1", "--period", "1d")
    code, _, error = cli("grant", "nowhere/t.bin", *grant)
    assert code != 0
    assert "`license release` ends it" in " ".join(error.split())
    assert stat.S_IMODE((tmp_path / "manager.pub.json").stat().st_mode) == 0o644


def test_a_key_file_that_the_group_can_read(cli: Cli, tmp_path: Path) -> None:
    assert cli("keygen", "keys.json")[0] == 0
    (tmp_path / "keys.json").chmod(0o640)
    code, _, error = cli("show-token", *GATEWAY)
    assert code != 0
    assert "run: chmod 600 keys.json" in " ".join(error.split())
