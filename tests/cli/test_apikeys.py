"""``cryptoproto apikeys``: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import ssl
import stat
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from cryptoproto.apikeys import ApiKeyAuth
from cryptoproto.apikeys.server import ApiKey, ApiKeysConfig, Gatekeeper, KeyStore, SessionSettings
from cryptoproto.apikeys.server.demonstration import demonstration_app, running
from cryptoproto.keys import PrivateKey
from tests.support.certificates import self_signed
from tests.support.command_line import Program, Result, run, start

SECRET = {"CRYPTOPROTO_API_SECRET": "TEST_API_SECRET"}


def apikeys(*arguments: str | Path, **options: Any) -> Result:
    return run("apikeys", *arguments, **options)


async def beside(*arguments: str | Path, **options: Any) -> Result:
    """The command in a thread, because it brings an event loop of its own."""
    return await asyncio.to_thread(apikeys, *arguments, **options)


@pytest.mark.parametrize("command", ["serve", "keygen", "sign", "login", "request"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = apikeys(command, "--help", env={"COLUMNS": "200"})
    assert result.code == 0
    assert "Example: cryptoproto apikeys" in result.out


def test_sign_shows_the_seeds_signature(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TEST_API_SECRET\n")
    secret.chmod(0o600)
    body = tmp_path / "body.json"
    body.write_bytes(
        b'{"from":null,"to":null,"offset":0,"rows":1000,"reverse":false,"space":null,'
        b'"types":["deltix.timebase.api.messages.BarMessage"]}'
    )
    arguments = ["sign", "POST", "http://localhost:8099/api/v0/bars1min/goog/select", "-k", "TEST_API_KEY"]
    result = apikeys(*arguments, "--secret-file", secret, "--data", f"@{body}")
    assert result.code == 0
    assert "X-Deltix-Signature: DtMdHJ4vc0LYx9H0YB80dICiah10x/i1KFrJ+Ba+RyOw5wc+6WcXdxCHA3GFYrIe" in result.out
    assert 'payload: POST/api/v0/bars1min/goog/select{"from":null' in result.err
    secret.chmod(0o640)
    result = apikeys(*arguments, "--secret-file", secret)
    assert (result.code, f"run: chmod 600 {secret}" in result.err) == (2, True)
    result = apikeys(*arguments)
    assert (result.code, "no secret: give --secret-file" in result.err) == (2, True)
    result = apikeys(*arguments, "--data", "@-", "--json", env=SECRET, stdin=body.read_bytes())
    assert result.code == 0
    assert json.loads(result.out)["headers"]["X-Deltix-Signature"].startswith("DtMdHJ4vc0LY")


def test_sign_takes_forms_and_refuses_urls_without_a_scheme() -> None:
    arguments = ["sign", "POST", "-k", "TEST_API_KEY", "-d", "b=1&a=2", "--json"]
    form = ["--content-type", "application/x-www-form-urlencoded"]
    result = apikeys(*arguments, "http://h/a", *form, env=SECRET)
    assert json.loads(result.out)["payload"] == "POST/aa=2&b=1"
    result = apikeys(*arguments, "localhost:8099/a", env=SECRET)
    assert (result.code, "the URL must be complete" in result.err) == (2, True)


async def test_keygen_login_request(tmp_path: Path) -> None:
    private_key, session = tmp_path / "trader.pem", tmp_path / "session.json"
    result = await beside("keygen", "session", "--name", "TRADER", "--out", private_key)
    assert result.code == 0
    assert stat.S_IMODE(private_key.stat().st_mode) == 0o600
    entry = yaml.safe_load(result.out)["security"]["api-keys-provider"]["api-keys"][0]
    assert (entry["name"], entry["user"]) == ("TRADER", "admin")
    store = KeyStore.of(ApiKey.parse(entry["name"], entry["key"], entry["user"], entry["authorities"]))
    gatekeeper = Gatekeeper(ApiKeysConfig(store, SessionSettings(enabled=True)))
    async with running(demonstration_app(gatekeeper)) as url:
        login: list[str | Path] = ["login", url, "--private-key", private_key]
        result = await beside(*login, "-k", "TRADER", "-o", session, "--json")
        assert result.code == 0, result.err
        assert json.loads(result.out)["keepalive_s"] == 100.0
        assert stat.S_IMODE(session.stat().st_mode) == 0o600
        result = await beside(*login, "-k", "TRADER", "-o", session)
        assert "it ends after 100 s without a request" in result.err
        streams = f"{url}/api/v0/streams"
        signed: list[str | Path] = ["--session", session]
        result = await beside("request", "GET", streams, *signed)
        assert (result.code, json.loads(result.out)[0]["key"], result.err) == (0, "bars1min", "200 OK\n")
        result = await beside("request", "post", streams, *signed, "-d", '{"key":"x"}', "--json")
        assert (result.code, json.loads(result.out)["status"]) == (0, 201)
        form = ["--content-type", "application/x-www-form-urlencoded", "-d", "b=1&a=2"]
        result = await beside("request", "POST", f"{url}/api/v0/x/y/select", *signed, *form)
        assert (result.code, result.err) == (0, "200 OK\n")
        result = await beside("request", "GET", f"{url}/none", *signed, "--json")
        assert (result.code, json.loads(result.out)["status"]) == (1, 404)
        result = await beside(*login, "-k", "NOBODY", "-o", tmp_path / "no.json")
        assert (result.code, "unknown API key" in result.err) == (3, True)
        assert not (tmp_path / "no.json").exists()


async def test_a_request_of_the_basic_flow(tmp_path: Path) -> None:
    gatekeeper = Gatekeeper(
        ApiKeysConfig(KeyStore.of(ApiKey.parse("TEST_API_KEY", "TEST_API_SECRET", "c", ["TB_ALLOW_READ"])))
    )
    async with running(demonstration_app(gatekeeper)) as url:
        request = ["request", "GET", f"{url}/api/v0/streams", "-k", "TEST_API_KEY", "--json"]
        result = await beside(*request, env=SECRET)
        assert (result.code, json.loads(result.out)["status"]) == (0, 200)
        result = await beside(*request, env={"CRYPTOPROTO_API_SECRET": "another"})
        assert (result.code, json.loads(result.out)["status"]) == (1, 400)


async def test_login_asks_for_the_password_of_an_encrypted_key(tmp_path: Path, alice_key: PrivateKey) -> None:
    entry = ApiKey.parse("TRADER", base64.b64encode(alice_key.public_key.to_der()).decode(), "c", ["TB_ALLOW_READ"])
    gatekeeper = Gatekeeper(ApiKeysConfig(KeyStore.of(entry), SessionSettings(enabled=True)))
    alice_key.save(tmp_path / "trader.pem", password="open sesame")
    async with running(demonstration_app(gatekeeper)) as url:
        login = ["login", url, "-k", "TRADER", "--private-key", "trader.pem", "-o", "session.json"]
        result = await beside(*login, cwd=tmp_path, stdin="open sesame\n")
        assert result.code == 0, result.err
        assert "Password of trader.pem" in result.err
        (tmp_path / "session.json").unlink()
        result = await beside(*login, cwd=tmp_path, stdin="guess\n")
        assert (result.code, "wrong password" in result.err) == (2, True)
        assert not (tmp_path / "session.json").exists()


@pytest.mark.parametrize(
    ("answer", "code", "out", "err"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0, '{"status": 200, "body": "hello"}\n', ""),
        (b"", 4, "", "no complete answer arrived (RemoteProtocolError); the request may have been processed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 4, "", "no complete answer arrived"),
    ],
)
async def test_an_answer_of_another_server(tmp_path: Path, answer: bytes, code: int, out: str, err: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        result = await beside("request", "GET", f"http://127.0.0.1:{port}/", "-k", "a", "--json", env=SECRET)
    assert (result.code, result.out) == (code, out)
    assert err in result.err


def test_in_a_terminal_the_secret_is_asked_for_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.cli.apikeys.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    request = ["sign", "GET", "http://h/a", "-k", "TEST_API_KEY", "--json"]
    result = apikeys(*request, stdin="TEST_API_SECRET\n")
    assert result.code == 0
    assert "Secret:" in result.err
    assert "TEST_API_SECRET" not in result.out + result.err
    assert json.loads(result.out) == json.loads(apikeys(*request, env=SECRET).out)


def test_keygen_for_the_basic_flow_shows_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    result = apikeys("keygen", "basic", "--name", "B", "--out", path, "--json")
    assert result.code == 0
    assert json.loads(result.out)["apiKeys"][0]["name"] == "B"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().strip()
    assert len(secret) == 48
    assert secret not in result.out + result.err
    result = apikeys("keygen", "basic", "--name", "B", "--out", path)
    assert (result.code, "exists" in result.err) == (2, True)
    assert path.read_text().strip() == secret


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["request", "GET", "http://127.0.0.1:1/"], 2, "either --key or --session"),
        (["request", "GET", "127.0.0.1/", "--session", "{session}"], 2, "is not an HTTP address"),
        (["request", "GET", "http://[::1", "--session", "{session}"], 2, "is not a valid address: Invalid IPv6"),
        (["request", "GET", "http://h:99999/", "--session", "{session}"], 2, "Port out of range"),
        (["request", "G ET", "http://h/", "--session", "{session}"], 2, "'G ET' is not a method of HTTP"),
        (["request", "GET", "http://no.invalid/", "--session", "{session}"], 3, "this host name is not known"),
        (["sign", "GET", "http://[::1", "-k", "T", "--secret-file", "{rubbish}"], 2, "is not a valid address"),
        (["sign", "GET", "http://h/", "-k", "T", "--secret-file", "none"], 2, "none: no such secret file"),
        (["login", "http://h:99999", "-k", "T", "--private-key", "{rubbish}", "-o", "s.json"], 2, "Port out of range"),
        (["login", "http://h", "-k", "T", "--private-key", "{public}", "-o", "s.json"], 2, "this is a public key"),
        (["keygen", "basic", "--name", "", "--out", "x"], 2, "the name of an API key cannot be empty"),
        (["request", "GET", "http://127.0.0.1:1/", "--session", "{session}"], 3, "is the address right,"),
        (["request", "GET", "http://127.0.0.1:1/", "--session", "none.json"], 2, "log in first"),
        (["request", "GET", "ftp://h/", "-k", "a", "--secret-file", "{keys}"], 2, "is not an HTTP address"),
        (["request", "GET", "http://h/", "-k", "a", "--secret-file", "none"], 2, "none: no such secret file"),
        (["login", "http://127.0.0.1:1", "-k", "T", "--private-key", "none.pem", "-o", "s.json"], 2, "none.pem"),
        (["login", "nowhere", "-k", "T", "--private-key", "{rubbish}", "-o", "s.json"], 2, "is not an HTTP address"),
        (
            ["login", "http://h", "-k", "T", "--private-key", "{rubbish}", "-o", "s.json"],
            2,
            "rubbish.json: neither a PEM",
        ),
        (
            ["login", "http://h", "-k", "T", "--private-key", "{binary}", "-o", "s.json"],
            2,
            "binary.json: neither a PEM",
        ),
        (["login", "http://h", "-k", "T", "--private-key", "{open}", "-o", "s.json"], 2, "chmod 600"),
        (["serve", "--config", "none.yaml"], 2, "cannot be read"),
        (["serve", "--config", "{keys}", "--tls-key", "{rubbish}"], 2, "give the certificate as well"),
        (["serve", "--config", "{keys}", "--tls-cert", "{rubbish}"], 2, "not a PEM certificate"),
        (["serve", "--config", "{keys}", "--tls-cert", "none.pem"], 2, "none.pem: cannot be read"),
        (["serve", "--config", "{keys}", "--host", "192.0.2.1"], 2, "this machine does not have this address"),
        (["keygen", "session", "--name", "a", "--out", "/nowhere/a.pem"], 2, "cannot be written"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    contents = {
        "session": b'{"session_id": "s", "secret": "AAAA", "keepalive_ms": 1000, "nonce": 1}',
        "rubbish": b"rubbish",
        "binary": b"\xff",
        "open": b"rubbish",
        "keys": b'{"apiKeys": [{"name": "a", "key": "b"}]}',
        "public": b"-----BEGIN PUBLIC KEY-----",
    }
    places = {name: tmp_path / f"{name}.json" for name in contents}
    for name, content in contents.items():
        places[name].write_bytes(content)
        places[name].chmod(0o644 if name in ("open", "public") else 0o600)
    result = apikeys(*(argument.format(**places) for argument in arguments), cwd=tmp_path, env={"COLUMNS": "200"})
    assert result.code == code, result.err
    assert words in result.err
    assert "Traceback" not in result.err


CONFIGURATION = """\
security:
  api-keys: {{sessions: {{enabled: {sessions}}}}}
  api-keys-provider:
    api-keys:
      - {{name: TEST_API_KEY, key: TEST_API_SECRET, user: c, authorities: [TB_ALLOW_READ, TB_ALLOW_WRITE]}}
"""


def _get(url: str, target: str, context: ssl.SSLContext | None = None) -> int:
    request = urllib.request.Request(f"{url}{target}")
    for name, value in ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET").headers("GET", target).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, context=context) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def _line(server: Program, words: str) -> str:
    """The next line of the log with these words."""
    assert server.process.stderr is not None
    for line in server.process.stderr:
        if words in line:
            return str(line)
    raise AssertionError(f"no line with {words!r}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_serve_shows_its_logs_until_it_is_stopped(tmp_path: Path, number: signal.Signals, code: int) -> None:
    config = tmp_path / "application.yaml"
    config.write_text(CONFIGURATION.format(sessions="false"))
    config.chmod(0o600)
    with start("apikeys", "serve", "--config", config, "--port", "0", stream="stderr") as server:
        assert "basic flow, API keys: 1; end with Ctrl-C" in server.first_line
        url = server.first_line.split()[2].rstrip(",")
        assert _get(url, "/api/v0/streams") == 200
        assert "INFO 127.0.0.1 TEST_API_KEY GET '/api/v0/streams' 200 in" in _line(server, "GET")
        assert _get(url, "/api/v0/streams?a=1&a=2") == 400
        assert "parameter a is given more than once" in _line(server, "refused with status 400")
        config.write_text("security: [")  # a reload that fails must be seen
        os.utime(config, ns=(1, 1))
        while _get(url, "/api/v0/streams") == 200:
            line = _line(server, "")
            if "ERROR the API keys were not reloaded" in line:
                assert "application.yaml: not valid YAML" in line
                break
        assert server.kill(number) == code


def test_serve_with_tls_both_flows_and_no_access_log(tmp_path: Path) -> None:
    config = tmp_path / "application.yaml"
    config.write_text(CONFIGURATION.format(sessions="true"))
    config.chmod(0o600)
    certificate, _ = self_signed(tmp_path)
    together = str(tmp_path / "exchange.pem")
    options = ["--both-flows", "--allow-repeated-parameters", "--no-access-log", "--tls-cert", together]
    with start("apikeys", "serve", "--config", config, "--port", "0", *options, stream="stderr") as server:
        assert "both flows" in server.first_line
        url = server.first_line.split()[2].rstrip(",")
        assert url.startswith("https://")
        context = ssl.create_default_context(cafile=certificate)
        assert _get(url, "/api/v0/streams?a=1&a=2", context) == 200
        assert _get(url, "/none", context) == 404
        assert server.kill(signal.SIGTERM) == 0
        assert server.process.stderr is not None
        assert "GET" not in server.process.stderr.read()


@pytest.mark.parametrize(("tls", "words"), [(False, "use http:// instead of https://"), (True, "use https:// instead")])
async def test_the_wrong_scheme_is_named_as_the_likely_cause(tmp_path: Path, tls: bool, words: str) -> None:
    gatekeeper = Gatekeeper(ApiKeysConfig(KeyStore.of()))
    self_signed(tmp_path)
    certificate = tmp_path / "exchange.pem" if tls else None
    async with running(demonstration_app(gatekeeper), tls_cert=certificate) as url:
        wrong = url.replace("https:", "http:") if tls else url.replace("http:", "https:")
        result = await beside("request", "GET", f"{wrong}/a", "-k", "T", env=SECRET | {"COLUMNS": "300"})
        assert (result.code, words in result.err) == (4 if tls else 3, True), result.err
        if tls:
            result = await beside("request", "GET", f"{url}/a", "-k", "T", env=SECRET | {"COLUMNS": "300"})
            assert (result.code, "its certificate is not trusted; SSL_CERT_FILE" in result.err) == (3, True)
