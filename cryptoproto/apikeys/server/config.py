"""``application.yaml`` and the JSON file of keys, as the gateway's documentation prints them."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from ...exceptions import ConfigurationError, DecodeError
from ..diffie_hellman import DEFAULT_GROUP, Group, GroupLimits
from .config_file import Node, child, folded, get, items, read_json, read_yaml, text_of
from .key_store import ApiKey, KeyStore

__all__ = ["ApiKeysConfig", "SessionSettings", "load_config"]

logger: logging.Logger = logging.getLogger("cryptoproto.apikeys")

_BASIC: Final = frozenset({"basic"})
_SESSIONS: Final = frozenset({"sessions"})
_CUSTOMARY_LOGIN_ROOTS: Final = ("/api/v1/login", "/api/v0", "/session/login")


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """``security.api-keys.sessions``, with the documented defaults.

    Attributes:
        enabled: whether the gateway runs the session flow. Otherwise it runs the basic flow.
        login_root: the path of the login calls; ``None`` for all three customary ones.
        challenge_size: bytes of a challenge.
        dh_secret_size: the most bytes of a private exponent.
        keep_alive_ms: a session ends after this time without a request.
        keep_alive_login_ms: how long a login may take from attempt to confirmation.
        keep_alive_timer_ms: how often ended sessions are removed.
        group: ``dhBase`` and ``dhModulus``, both hexadecimal.
    """

    enabled: bool = False
    login_root: str | None = None
    challenge_size: int = 2048
    dh_secret_size: int = 512
    keep_alive_ms: int = 100_000
    keep_alive_login_ms: int = 10_000
    keep_alive_timer_ms: int = 1_000
    group: Group = DEFAULT_GROUP

    @property
    def login_roots(self) -> tuple[str, ...]:
        """The paths of the login calls."""
        return _CUSTOMARY_LOGIN_ROOTS if self.login_root is None else (self.login_root,)


@dataclass(frozen=True, slots=True)
class ApiKeysConfig:
    """What :func:`load_config` reads.

    Attributes:
        keys: the API keys.
        sessions: the settings of the session flow.
        source: where the keys are from, ``CONFIG`` or ``FILE``.
        both_flows: with sessions enabled, whether keys with a secret work as well, in the basic flow.
    """

    keys: KeyStore
    sessions: SessionSettings = field(default_factory=SessionSettings)
    source: Literal["CONFIG", "FILE"] = "CONFIG"
    both_flows: bool = False


def load_config(
    path: str | os.PathLike[str],
    *,
    both_flows: bool = False,
    clock: Callable[[], float] = time.monotonic,
    limits: GroupLimits | None = None,
) -> ApiKeysConfig:
    """Read an ``application.yaml``, or a JSON file of keys by itself (for the basic flow).

    The keys are read again when their file changes. Other settings are read once. Keys that cannot work in the chosen
    flow are reported in the log.

    Args:
        path: the file. Names in it are relative to its folder.
        both_flows: if the file enables sessions, let its keys with a secret work as well, in the basic flow.
        clock: seconds, for watching the file.
        limits: which moduli are accepted. The default is 1024 to 8192 bits.

    Raises:
        ConfigurationError: the file cannot be used. The text says what to change, and quotes none of the keys.
    """
    file = Path(path)
    if file.suffix.lower() == ".json":
        return ApiKeysConfig(_keys_of_json(file, clock, _BASIC), source="FILE")
    security = _security(file)
    settings = _session_settings(child(child(security, "api-keys"), "sessions"), file, limits or GroupLimits())
    flows = _BASIC if not settings.enabled else _BASIC | _SESSIONS if both_flows else _SESSIONS
    authorization = child(security, "authorization")
    source = text_of(get(authorization, "source", "CONFIG")).upper()
    if source == "CONFIG":
        keys = KeyStore(lambda: _config_keys(_security(file), file, flows), files=[file], clock=clock)
        return ApiKeysConfig(keys, settings, both_flows=both_flows)
    if source == "FILE":
        target = text_of(get(child(authorization, "file-source"), "path", ""))
        if not target:
            raise ConfigurationError(f"{file}: source FILE needs security.authorization.file-source.path")
        keys = _keys_of_json(file.parent / target, clock, flows)
        return ApiKeysConfig(keys, settings, "FILE", both_flows=both_flows)
    raise ConfigurationError(f"{file}: security.authorization.source must be FILE or CONFIG, not {source:.40}")


def _keys_of_json(file: Path, clock: Callable[[], float], flows: frozenset[str]) -> KeyStore:
    def read() -> Mapping[str, ApiKey]:
        document = read_json(file)
        return _api_keys(get(document, "apiKeys", []), _users(get(document, "users", []), file), file, flows)

    return KeyStore(read, files=[file], clock=clock)


def _config_keys(security: Node, file: Path, flows: frozenset[str]) -> Mapping[str, ApiKey]:
    # The documentation prints the provider without its indentation, so look in every place that it could mean.
    places = [security, child(security, "authorization"), child(security, "api-keys")]
    entries: list[Any] = []
    for place in places:
        entries += items(get(child(place, "api-keys-provider"), "api-keys", []), file)
    users: list[Any] = []
    for place in [*places, child(security, "oauth2")]:
        users += items(get(place, "users", []), file)
    return _api_keys(entries, _users(users, file), file, flows)


def _api_keys(
    entries: object, users: Mapping[str, frozenset[str]], file: Path, flows: frozenset[str]
) -> Mapping[str, ApiKey]:
    keys: dict[str, ApiKey] = {}
    for entry in items(entries, file):
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{file}: an API key is a mapping with name, key, user and perhaps authorities")
        name, key, user = (text_of(get(entry, part, "")) for part in ("name", "key", "user"))
        listed = get(entry, "authorities", None)
        authorities = users.get(user, frozenset()) if listed is None else _words(listed, file)
        try:
            parsed = ApiKey.parse(name, key, user, authorities)
        except ConfigurationError as error:
            raise ConfigurationError(f"{file}: {error}") from None
        if name not in keys:
            keys[name] = parsed
            _warn_if_unfit(parsed, file, flows)
            continue
        # The documentation's own example repeats its placeholder. Two different keys of one name are a mistake.
        known = keys[name]
        if (known.secret, known.public_key, known.user) != (parsed.secret, parsed.public_key, parsed.user):
            raise ConfigurationError(f"{file}: two API keys have the name {name}; names must be unique")
        logger.warning("%s: API key %s is listed twice; the first entry and its authorities count", file, name)
    _warn_of_readers(file, keys)
    return keys


def _warn_of_readers(file: Path, keys: Mapping[str, ApiKey]) -> None:
    """Report a file with secrets that other users can read. It is not refused: gateways share it with their group."""
    mode = stat.S_IMODE(file.stat().st_mode) if file.is_file() else 0
    if mode & 0o077 and any(key.secret is not None for key in keys.values()):
        logger.warning(
            "%s: mode %04o gives other users access to the secrets of the API keys; run: chmod 600 %s", file, mode, file
        )


def _warn_if_unfit(key: ApiKey, file: Path, flows: frozenset[str]) -> None:
    if key.secret is not None and not flows >= _BASIC:
        logger.warning(
            "%s: API key %s has a secret and cannot be used while sessions are enabled; give it an RSA public key, "
            "or allow both flows",
            file,
            key.name,
        )
    elif key.public_key is not None and not flows >= _SESSIONS:
        logger.warning(
            "%s: API key %s has an RSA public key, which works with sessions only; set "
            "security.api-keys.sessions.enabled to true, or give it a secret",
            file,
            key.name,
        )


def _users(entries: object, file: Path) -> Mapping[str, frozenset[str]]:
    users: dict[str, frozenset[str]] = {}
    for entry in items(entries, file):
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{file}: a user is a mapping with username and authorities")
        name = text_of(get(entry, "username", get(entry, "name", "")))
        authorities = _words(get(entry, "authorities", []), file)
        if users.setdefault(name, authorities) != authorities:
            raise ConfigurationError(f"{file}: user {name} is listed twice, with different authorities")
    return users


def _session_settings(node: Node, file: Path, limits: GroupLimits) -> SessionSettings:
    known = {
        "enabled", "login-root", "challengeSize", "dhSecretSize", "keepAliveMs", "keepAliveLoginMs",
        "keepAliveTimerMs", "dhBase", "dhModulus",
    }  # fmt: skip
    for name in node.keys() - {folded(name) for name in known}:
        logger.warning("%s: security.api-keys.sessions.%s is not a known setting and has no effect", file, name)
    default = SessionSettings()
    root = text_of(get(node, "login-root", "")).strip("/")
    group = Group(
        base=_hexadecimal(node, "dhBase", default.group.base, file),
        modulus=_hexadecimal(node, "dhModulus", default.group.modulus, file),
    )
    try:
        group.check(limits)
    except DecodeError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    return SessionSettings(
        enabled=_truth(node, "enabled", file),
        login_root=f"/{root}" if root else None,
        # Long enough that nobody can guess a challenge or see one twice, short enough for one reply.
        challenge_size=_number(node, "challengeSize", default.challenge_size, 16, 65_536, file),
        dh_secret_size=_number(node, "dhSecretSize", default.dh_secret_size, 16, 4_096, file),
        keep_alive_ms=_number(node, "keepAliveMs", default.keep_alive_ms, 1, 10**12, file),
        keep_alive_login_ms=_number(node, "keepAliveLoginMs", default.keep_alive_login_ms, 1, 10**12, file),
        keep_alive_timer_ms=_number(node, "keepAliveTimerMs", default.keep_alive_timer_ms, 1, 10**12, file),
        group=group,
    )


def _number(node: Node, name: str, default: int, lowest: int, highest: int, file: Path) -> int:
    text = text_of(get(node, name, str(default))).replace("_", "")
    if not (text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest):
        raise ConfigurationError(
            f"{file}: security.api-keys.sessions.{name} must be a number from {lowest} to {highest}"
        )
    return int(text)


def _hexadecimal(node: Node, name: str, default: int, file: Path) -> int:
    text = "".join(text_of(get(node, name, f"{default:x}")).split())
    try:
        return int(text, 16)
    except ValueError:
        raise ConfigurationError(f"{file}: security.api-keys.sessions.{name} must be a hexadecimal number") from None


def _truth(node: Node, name: str, file: Path) -> bool:
    text = text_of(get(node, name, "false")).lower()
    if text not in ("true", "false", "on", "off", "yes", "no"):
        raise ConfigurationError(f"{file}: security.api-keys.sessions.{name} must be true or false")
    return text in ("true", "on", "yes")


def _security(file: Path) -> Node:
    document = read_yaml(file)
    if folded("security") not in document:
        raise ConfigurationError(f"{file}: has no section `security`; is this the application.yaml?")
    security = document[folded("security")]
    if not isinstance(security, dict):
        raise ConfigurationError(f"{file}: the section `security` is empty; has the file lost its indentation?")
    return security


def _words(value: object, file: Path) -> frozenset[str]:
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    return frozenset(text_of(word) for word in items(value, file))
