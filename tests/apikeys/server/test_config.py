"""The configurations that the seed prints, and messages about others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.apikeys.diffie_hellman import DEFAULT_GROUP
from cryptoproto.apikeys.server import KeyStore, SessionSettings, load_config
from tests.support.apikeys.samples import PLACEHOLDERS, SEED_PUBLIC_KEY

BASIC = f"""\
# basic flow
security:
  authorization:
    source: CONFIG # valid values: FILE, CONFIG
  api-keys:
    sessions:
      enabled: false
  api-keys-provider:
    api-keys:
      - name: TEST_API_KEY
        key: TEST_API_SECRET
        user: admin
        authorities: [TB_ALLOW_READ, TB_ALLOW_WRITE]
      - name: TEST_SESSION_API_KEY
        key: "{SEED_PUBLIC_KEY}"
        user: admin
        authorities: [TB_ALLOW_READ, TB_ALLOW_WRITE]
"""


SESSIONS = BASIC.replace("# basic flow", "# session-based flow").replace("enabled: false", "enabled: true")


SESSION_SETTINGS = f"""\
security:
  api-keys:
    sessions:
      login-root: api/v0
      challengeSize: 2048
      dhSecretSize: 512
      keepAliveMs: 100000
      keepAliveLoginMs: 10000
      keepAliveTimerMs: 1000
      dhBase: 2
      dhModulus: {DEFAULT_GROUP.modulus:x}
"""


FILE_SOURCE = """\
security:
  authorization:
    source: FILE # valid values: FILE, CONFIG
    file-source:
      path: {path}
"""


USERS_JSON = """\
{
"apiKeys" : [ {
"name" : "api key name",
"key" : "api key",
"user" : "api key user"
} ]
}
"""


def _write(tmp_path: Path, text: str, name: str = "application.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(("text", "enabled"), [(BASIC, False), (SESSIONS, True)])
def test_both_configurations(tmp_path: Path, text: str, enabled: bool) -> None:
    config = load_config(_write(tmp_path, text))
    assert (config.source, config.sessions.enabled, len(config.keys)) == ("CONFIG", enabled, 2)
    basic, session = config.keys.get("TEST_API_KEY"), config.keys.get("TEST_SESSION_API_KEY")
    assert basic is not None
    assert session is not None
    assert (basic.secret, basic.public_key, basic.user) == (b"TEST_API_SECRET", None, "admin")
    assert basic.authorities == {"TB_ALLOW_READ", "TB_ALLOW_WRITE"}
    assert session.secret is None  # a public key is no secret
    assert session.public_key == cp.PublicKey.from_der(SEED_PUBLIC_KEY, minimum_bits=1024)


def test_the_printed_settings_are_the_defaults(tmp_path: Path) -> None:
    printed = load_config(_write(tmp_path, SESSION_SETTINGS)).sessions
    assert printed == SessionSettings(login_root="/api/v0")
    assert printed.login_roots == ("/api/v0",)
    assert SessionSettings().login_roots == ("/api/v1/login", "/api/v0", "/session/login")
    assert load_config(_write(tmp_path, "security: {}\n")).sessions == SessionSettings()


def test_the_placeholders_of_the_documentation(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path, PLACEHOLDERS))
    key = config.keys.get("api key name")
    assert key is not None
    assert (key.secret, key.user) == (b"api key", "api key user")
    assert key.authorities == {"TB_ALLOW_READ", "TB_ALLOW_WRITE"}


@pytest.mark.parametrize("place", ["tbwg.users.json", "folder/tbwg.users.json", "absolute"])
def test_the_json_file(tmp_path: Path, place: str) -> None:
    target = tmp_path / ("tbwg.users.json" if place == "absolute" else place)
    target.parent.mkdir(exist_ok=True)
    target.write_text(USERS_JSON)
    written = str(target) if place == "absolute" else place
    for path in (_write(tmp_path, FILE_SOURCE.format(path=written)), target):
        config = load_config(path)
        key = config.keys.get("api key name")
        assert key is not None
        assert (config.source, key.secret, key.user, key.authorities) == (
            "FILE",
            b"api key",
            "api key user",
            frozenset(),
        )


def test_authorities_come_from_the_user_where_the_key_has_none(tmp_path: Path) -> None:
    keys = [{"name": "a", "key": "s", "user": "bob"}, {"name": "b", "key": "s", "user": "bob", "authorities": []}]
    users = [{"username": "bob", "password": "irrelevant", "authorities": ["TB_ALLOW_READ", "GRAFANA"]}]
    path = _write(tmp_path, json.dumps({"users": users, "apiKeys": keys}), "keys.json")
    config = load_config(path)
    assert {name: key.authorities for name in "ab" if (key := config.keys.get(name))} == {
        "a": {"TB_ALLOW_READ", "GRAFANA"},
        "b": set(),
    }
    entry = {"name": "b", "key": "s", "user": "bob", "authorities": "TB_ALLOW_READ, GRAFANA,"}
    written = load_config(_write(tmp_path, json.dumps({"apiKeys": [entry]}), "keys.json")).keys.get("b")
    assert written is not None
    assert written.authorities == {"TB_ALLOW_READ", "GRAFANA"}
    yaml = PLACEHOLDERS.replace(
        "        authorities: [TB_ALLOW_READ, TB_ALLOW_WRITE] # Specify authorities for api key\n", ""
    )
    yaml += "  oauth2:\n    users:\n      - username: api key user\n        authorities: [TB_ALLOW_READ]\n"
    key = load_config(_write(tmp_path, yaml)).keys.get("api key name")
    assert key is not None
    assert key.authorities == {"TB_ALLOW_READ"}


@pytest.mark.parametrize("place", ["security", "authorization", "api-keys"])
def test_the_provider_may_stand_in_each_of_three_places(tmp_path: Path, place: str) -> None:
    provider = {"api-keys-provider": {"api-keys": [{"name": "a", "key": "s", "user": "u"}]}}
    tree: dict[str, object] = {"authorization": {"source": "CONFIG"}, "api-keys": {}}
    if place == "security":
        tree |= provider
    else:
        tree[place] = {**dict(tree[place]), **provider}  # type: ignore[call-overload]
    assert load_config(_write(tmp_path, json.dumps({"security": tree}))).keys.get("a") is not None


def test_names_may_be_spelled_as_in_spring(tmp_path: Path) -> None:
    text = (
        "security.api-keys.sessions.enabled: true\n"
        "security.api_keys.sessions:\n  keep-alive-ms: 5_000\n  challenge_size: 64\n  loginRoot: /my/login/\n"
    )
    settings = load_config(_write(tmp_path, text)).sessions
    assert settings == SessionSettings(enabled=True, keep_alive_ms=5000, challenge_size=64, login_root="/my/login")


def test_scalars_stay_what_they_are(tmp_path: Path) -> None:
    """YAML would read 0123 as a number and yes as a boolean."""
    keys = "".join(f"      - {{name: {name}, key: {name}, user: u}}\n" for name in ("0123", "yes", "1e3", "~", "0x10"))
    text = "security:\n  api-keys-provider:\n    api-keys:\n" + keys
    config = load_config(_write(tmp_path, text))
    for name in ("0123", "yes", "1e3", "~", "0x10"):
        key = config.keys.get(name)
        assert key is not None
        assert key.secret == name.encode()


def test_base_and_modulus_are_hexadecimal(tmp_path: Path) -> None:
    text = "security: {api-keys: {sessions: {dhBase: 10, dhModulus: %x}}}" % (2**1279 - 1)
    group = load_config(_write(tmp_path, text)).sessions.group
    assert (group.base, group.modulus) == (16, 2**1279 - 1)


def test_two_security_sections_are_refused(tmp_path: Path) -> None:
    """The documentation prints two of them. YAML would silently keep the last one."""
    with pytest.raises(cp.ConfigurationError, match=r"`security` in line 19 was given in line 2 already; join the two"):
        load_config(_write(tmp_path, BASIC + SESSIONS))


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return warnings


def test_keys_that_do_not_fit_the_flow_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_config(_write(tmp_path, BASIC))
    [warning] = _warnings(caplog)
    assert "API key TEST_SESSION_API_KEY has an RSA public key, which works with sessions only" in warning
    load_config(_write(tmp_path, SESSIONS))
    [warning] = _warnings(caplog)
    assert "API key TEST_API_KEY has a secret and cannot be used while sessions are enabled" in warning
    assert load_config(_write(tmp_path, SESSIONS), both_flows=True).both_flows
    assert not _warnings(caplog)


def test_a_key_that_is_listed_twice_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_config(_write(tmp_path, PLACEHOLDERS))
    [warning] = _warnings(caplog)
    assert "API key api key name is listed twice; the first entry and its authorities count" in warning


def test_unknown_settings_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_config(_write(tmp_path, "security: {api-keys: {sessions: {keepAliveSeconds: 5}}}"))
    assert "sessions.keepaliveseconds is not a known setting" in caplog.text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is not a mapping"),
        ("just text", "is not a mapping"),
        ("server: {}", "no section `security`"),
        ("security:\nauthorization:\nsource: CONFIG\n", "lost its indentation"),
        ("security:\n  users:\n  - name: hunter2\n key: x\n", "not valid YAML in line 4, column 2"),
        ("security: {a: &a [*a]}", "not valid YAML"),
        ("security: {authorization: {source: LDAP}}", "must be FILE or CONFIG, not LDAP"),
        ("security: {authorization: {source: FILE}}", "needs security.authorization.file-source.path"),
        ("security: {authorization: {source: FILE, file-source: {path: no.json}}}", "no.json: cannot be read"),
        ("security: {api-keys-provider: {api-keys: [name]}}", "an API key is a mapping"),
        ("security: {api-keys-provider: {api-keys: name}}", "a list was expected"),
        ("security: {api-keys-provider: {api-keys: [{key: hunter2}]}}", "must have a name and a key"),
        ("security: {api-keys-provider: {api-keys: [{name: a}]}}", "must have a name and a key"),
        (
            "security: {api-keys-provider: {api-keys: [{name: a, key: hunter2}, {name: a, key: hunter3}]}}",
            "two API keys have the name a",
        ),
        ("security: {users: [bob]}", "a user is a mapping"),
        (
            "security: {users: [{username: bob}, {username: bob, authorities: [a]}]}",
            "user bob is listed twice, with different authorities",
        ),
        ("security: {api-keys: {sessions: {enabled: perhaps}}}", "enabled must be true or false"),
        ("security: {api-keys: {sessions: {keepAliveMs: 0}}}", "keepAliveMs must be a number from 1"),
        ("security: {api-keys: {sessions: {keepAliveMs: soon}}}", "keepAliveMs must be a number from 1"),
        ("security: {api-keys: {sessions: {challengeSize: 8}}}", "challengeSize must be a number from 16"),
        (
            f"security: {{api-keys: {{sessions: {{challengeSize: {'1' * 5000}}}}}}}",
            "challengeSize must be a number from 16",
        ),
        ("security: {authorization: {source: {a: hunter2}}}", "must be FILE or CONFIG, not"),
        ("security: {authorization: {source: FILE, file-source: {path: [a]}}}", "needs security.authorization.file-s"),
        ('security: {authorization: {source: FILE, file-source: {path: "a\\0b"}}}', "no file can have this name"),
        ("security: {api-keys: {sessions: {dhModulus: xyz}}}", "dhModulus must be a hexadecimal number"),
        ("security: {api-keys: {sessions: {dhModulus: 17}}}", "too weak"),
        ("security: {api-keys: {sessions: {dhBase: 1}}}", "base is outside"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=complaint) as caught:
        load_config(_write(tmp_path, text))
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"apiKeys": [{"key": "hunter2"', "not valid JSON in line 1"),
        ("[]", "is not a mapping"),
        ("[" * 100_000, "not valid JSON"),
        ('{"apiKeys": [{"name": "a", "key": "\\ud800"}]}', "half a character"),
    ],
)
def test_json_that_cannot_be_used(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=complaint) as caught:
        load_config(_write(tmp_path, text, "keys.json"))
    assert "hunter" not in str(caught.value)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "application.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(cp.ConfigurationError, match="not UTF-8"):
        load_config(path)


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path, BASIC))
    assert "TEST_API_SECRET" not in repr(config) + repr(config.keys.get("TEST_API_KEY"))
    assert repr(KeyStore.of()) == "<KeyStore 0 keys>"


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_secrets_that_others_can_read_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"apiKeys": [{"name": "a", "key": "geheim"}]}')
    path.chmod(mode)
    load_config(path)
    assert (f"mode {mode:04o} gives other users access" in caplog.text) == warned
    assert "geheim" not in caplog.text
