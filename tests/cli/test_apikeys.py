"""The command line: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import signal
import stat
import sys
from pathlib import Path

import pytest
import yaml

from cryptoproto.apikeys.server import ApiKey, ApiKeysConfig, Gatekeeper, KeyStore, SessionSettings
from cryptoproto.apikeys.server.demonstration import demonstration_app, running
from tests.support.command_line import run, start


class Shell:
    """Runs commands in this process, in a thread: they have their own event loop."""

    async def __call__(self, *arguments: str, secret: str | None = None, stdin: bytes = b"") -> tuple[int, str, str]:
        environment = {"COLUMNS": "200", "CRYPTOPROTO_API_SECRET": secret}
        result = await asyncio.to_thread(run, "apikeys", *arguments, env=environment, stdin=stdin)
        return result.code, result.out, result.err


@pytest.fixture
def shell() -> Shell:
    return Shell()


async def test_every_command_has_help_with_an_example(shell: Shell) -> None:
    for command in ("serve", "keygen", "sign", "login", "request"):
        code, out, _ = await shell(command, "--help")
        assert code == 0
        assert "Example: cryptoproto apikeys" in out


async def test_sign_shows_the_seeds_signature(tmp_path: Path, shell: Shell) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TEST_API_SECRET\n")
    body = tmp_path / "body.json"
    body.write_bytes(
        b'{"from":null,"to":null,"offset":0,"rows":1000,"reverse":false,"space":null,'
        b'"types":["deltix.timebase.api.messages.BarMessage"]}'
    )
    arguments = ["sign", "POST", "http://localhost:8099/api/v0/bars1min/goog/select", "-k", "TEST_API_KEY"]
    code, out, err = await shell(*arguments, "--secret-file", str(secret), "--data", f"@{body}")
    assert code == 0
    assert "X-Deltix-Signature: DtMdHJ4vc0LYx9H0YB80dICiah10x/i1KFrJ+Ba+RyOw5wc+6WcXdxCHA3GFYrIe" in out
    assert 'payload: POST/api/v0/bars1min/goog/select{"from":null' in err
    code, _, err = await shell(*arguments)
    assert (code, "no secret: give --secret-file" in err) == (2, True)
    code, out, _ = await shell(*arguments, "--data", "@-", "--json", secret="TEST_API_SECRET", stdin=body.read_bytes())
    assert code == 0
    assert json.loads(out)["headers"]["X-Deltix-Signature"].startswith("DtMdHJ4vc0LY")


async def test_keygen_login_request(tmp_path: Path, shell: Shell) -> None:
    private_key, session = tmp_path / "trader.pem", tmp_path / "session.json"
    code, out, _ = await shell("keygen", "session", "--name", "TRADER", "--out", str(private_key))
    assert code == 0
    assert stat.S_IMODE(private_key.stat().st_mode) == 0o600
    entry = yaml.safe_load(out)["security"]["api-keys-provider"]["api-keys"][0]
    assert (entry["name"], entry["user"]) == ("TRADER", "admin")
    store = KeyStore.of(ApiKey.parse(entry["name"], entry["key"], entry["user"], entry["authorities"]))
    gatekeeper = Gatekeeper(ApiKeysConfig(store, SessionSettings(enabled=True)))
    async with running(demonstration_app(gatekeeper)) as url:
        code, out, _ = await shell(
            "login", url, "-k", "TRADER", "--private-key", str(private_key), "-o", str(session), "--json"
        )
        assert code == 0
        assert json.loads(out)["keepalive_s"] == 100.0
        assert stat.S_IMODE(session.stat().st_mode) == 0o600
        streams = f"{url}/api/v0/streams"
        code, out, err = await shell("request", "GET", streams, "--session", str(session))
        assert (code, json.loads(out)[0]["key"], err) == (0, "bars1min", "200 OK\n")
        code, out, _ = await shell("request", "post", streams, "--session", str(session), "-d", '{"key":"x"}', "--json")
        assert (code, json.loads(out)["status"]) == (0, 201)
        code, out, err = await shell("request", "GET", f"{url}/none", "--session", str(session))
        assert (code, err) == (1, "404 Not Found\n")
        code, _, err = await shell(
            "login", url, "-k", "NOBODY", "--private-key", str(private_key), "-o", str(tmp_path / "no.json")
        )
        assert (code, "unknown API key" in err) == (3, True)
        assert not (tmp_path / "no.json").exists()


async def test_keygen_for_the_basic_flow_shows_no_secret(tmp_path: Path, shell: Shell) -> None:
    path = tmp_path / "secret"
    code, out, err = await shell("keygen", "basic", "--name", "B", "--out", str(path), "--json")
    assert code == 0
    assert json.loads(out)["apiKeys"][0]["name"] == "B"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().strip()
    assert len(secret) == 48
    assert secret not in out + err
    code, _, err = await shell("keygen", "basic", "--name", "B", "--out", str(path))
    assert (code, "already exists" in err) == (2, True)
    assert path.read_text().strip() == secret


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["request", "GET", "http://127.0.0.1:1/"], 2, "either --key or --session"),
        (["request", "GET", "127.0.0.1/", "--session", "{session}"], 2, "begins with http://"),
        (["request", "GET", "http://127.0.0.1:1/", "--session", "{session}"], 3, "is the address right?"),
        (["request", "GET", "http://127.0.0.1:1/", "--session", "none.json"], 2, "log in first"),
        (["login", "http://127.0.0.1:1", "-k", "T", "--private-key", "none.pem", "-o", "s.json"], 2, "no such private"),
        (["login", "nowhere", "-k", "T", "--private-key", "{rubbish}", "-o", "s.json"], 2, "gateway's address"),
        (["login", "http://h", "-k", "T", "--private-key", "{rubbish}", "-o", "s.json"], 2, "the given private key"),
        (["login", "http://h", "-k", "T", "--private-key", "{open}", "-o", "s.json"], 2, "chmod 600"),
        (["serve", "--config", "none.yaml"], 2, "cannot be read"),
        (["keygen", "session", "--name", "a", "--out", "/nowhere/a.pem"], 2, "cannot be written"),
    ],
)
async def test_mistakes_are_one_sentence(
    tmp_path: Path, shell: Shell, arguments: list[str], code: int, words: str
) -> None:
    session, rubbish, world = tmp_path / "session.json", tmp_path / "rubbish", tmp_path / "open"
    session.write_text('{"session_id": "s", "secret": "AAAA", "keepalive_ms": 1000, "nonce": 1}')
    for file, mode in ((session, 0o600), (rubbish, 0o600), (world, 0o644)):
        if file is not session:
            file.write_text("rubbish")
        file.chmod(mode)
    places = {"session": str(session), "rubbish": str(rubbish), "open": str(world)}
    ended, _, err = await shell(*(argument.format(**places) for argument in arguments))
    assert ended == code, err
    assert words in err
    assert "Traceback" not in err


async def test_serve_runs_until_it_is_interrupted(tmp_path: Path, shell: Shell) -> None:
    config = tmp_path / "application.yaml"
    config.write_text("security:\n  api-keys-provider:\n    api-keys:\n      - {name: a, key: b, user: c}\n")
    with start("apikeys", "serve", "--config", config, "--port", "0", stream="stderr") as server:
        assert "basic flow, API keys: 1; end with Ctrl-C" in server.first_line
        url = server.first_line.split()[2].rstrip(",")
        code, _, err = await shell("request", "GET", f"{url}/", "-k", "a", secret="b")
        assert (code, err) == (1, "404 Not Found\n")
        assert server.kill(signal.SIGINT) == 130


async def test_a_missing_extra_says_what_to_install(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "httpx" else find(name))
    code, _, err = await shell("sign", "GET", "/", "-k", "a")
    assert (code, err) == (2, "error: this command needs httpx: pip install 'cryptoproto[apikeys,server]'\n")


def test_importing_the_room_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("cryptoproto.apikeys", "httpx"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'cryptoproto\[apikeys\]'"):
        __import__("cryptoproto.apikeys")
