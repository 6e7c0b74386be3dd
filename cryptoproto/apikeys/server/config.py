"""``application.yaml`` and the JSON file of keys, as the gateway's documentation prints them.

The keys of a mapping are compared without case, hyphens and underscores, and ``a.b: c`` is ``a: {b: c}``, as Spring
does. All scalars are read as text: a secret such as ``0123`` or ``yes`` stays what it is.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from ...exceptions import ConfigurationError, DecodeError
from ..diffie_hellman import DEFAULT_GROUP, Group, GroupLimits
from .key_store import ApiKey, KeyStore

__all__ = ["ApiKeysConfig", "SessionSettings", "load_config"]

logger = logging.getLogger("cryptoproto.apikeys")

_CUSTOMARY_LOGIN_ROOTS: Final = ("/api/v1/login", "/api/v0", "/session/login")

_Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """``security.api-keys.sessions``, with the documented defaults.

    Attributes:
        enabled: whether the gateway runs the session flow; otherwise it runs the basic flow.
        login_root: the path under which the login calls are; ``None`` for all three that are customary.
        challenge_size: bytes of a challenge.
        dh_secret_size: the most bytes of a private exponent.
        keep_alive_ms: after how long without a request a session ends.
        keep_alive_login_ms: how long a login may take from attempt to confirmation.
        keep_alive_timer_ms: how often ended sessions are cleared away.
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
        """The paths under which the login calls are."""
        return _CUSTOMARY_LOGIN_ROOTS if self.login_root is None else (self.login_root,)


@dataclass(frozen=True, slots=True)
class ApiKeysConfig:
    """What :func:`load_config` reads.

    Attributes:
        keys: the API keys.
        sessions: the settings of the session flow.
        source: where the keys are from, ``CONFIG`` or ``FILE``.
    """

    keys: KeyStore
    sessions: SessionSettings = field(default_factory=SessionSettings)
    source: Literal["CONFIG", "FILE"] = "CONFIG"


def load_config(
    path: str | os.PathLike[str], *, clock: Callable[[], float] = time.monotonic, limits: GroupLimits | None = None
) -> ApiKeysConfig:
    """Read an ``application.yaml``, or a JSON file of keys by itself (which runs the basic flow).

    The keys are read again when their file changes; other settings when the program starts.

    Args:
        path: of the file; names in it are relative to its folder.
        clock: seconds, for watching the file.
        limits: which moduli are accepted; the default is 1024 to 8192 bits.

    Raises:
        ConfigurationError: the file cannot be used; the text says what to change, and shows nothing of the keys.
    """
    file = Path(path)
    if file.suffix.lower() == ".json":
        return ApiKeysConfig(_keys_of_json(file, clock), source="FILE")
    security = _security(file)
    settings = _session_settings(_child(_child(security, "api-keys"), "sessions"), file, limits or GroupLimits())
    authorization = _child(security, "authorization")
    source = str(_get(authorization, "source", "CONFIG")).upper()
    if source == "CONFIG":
        keys = KeyStore(lambda: _config_keys(_security(file), file), files=[file], clock=clock)
        return ApiKeysConfig(keys, settings)
    if source == "FILE":
        target = _get(_child(authorization, "file-source"), "path", "")
        if not target:
            raise ConfigurationError(f"{file}: source FILE needs security.authorization.file-source.path")
        return ApiKeysConfig(_keys_of_json(file.parent / str(target), clock), settings, "FILE")
    raise ConfigurationError(f"{file}: security.authorization.source is FILE or CONFIG, not {source}")


def _keys_of_json(file: Path, clock: Callable[[], float]) -> KeyStore:
    def read() -> Mapping[str, ApiKey]:
        document = _json_document(file)
        return _api_keys(_get(document, "apiKeys", []), _users(_get(document, "users", []), file), file)

    return KeyStore(read, files=[file], clock=clock)


def _config_keys(security: _Node, file: Path) -> Mapping[str, ApiKey]:
    # The documentation prints the provider without its indentation; all places where it could stand are looked at.
    places = [security, _child(security, "authorization"), _child(security, "api-keys")]
    entries: list[Any] = []
    for place in places:
        entries += _list(_get(_child(place, "api-keys-provider"), "api-keys", []), file)
    users: list[Any] = []
    for place in [*places, _child(security, "oauth2")]:
        users += _list(_get(place, "users", []), file)
    return _api_keys(entries, _users(users, file), file)


def _api_keys(entries: object, users: Mapping[str, frozenset[str]], file: Path) -> Mapping[str, ApiKey]:
    keys: dict[str, ApiKey] = {}
    for entry in _list(entries, file):
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{file}: an API key is a mapping with name, key, user and perhaps authorities")
        name, key, user = (_text(_get(entry, part, "")) for part in ("name", "key", "user"))
        listed = _get(entry, "authorities", None)
        authorities = users.get(user, frozenset()) if listed is None else _words(listed, file)
        try:
            parsed = ApiKey.parse(name, key, user, authorities)
        except ConfigurationError as error:
            raise ConfigurationError(f"{file}: {error}") from None
        known = keys.setdefault(name, parsed)
        # The documentation's own example repeats its placeholder; two different keys of one name are a mistake.
        if (known.secret, known.public_key, known.user) != (parsed.secret, parsed.public_key, parsed.user):
            raise ConfigurationError(f"{file}: two API keys have the name {name}; names are unique")
    return keys


def _users(entries: object, file: Path) -> Mapping[str, frozenset[str]]:
    users: dict[str, frozenset[str]] = {}
    for entry in _list(entries, file):
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{file}: a user is a mapping with username and authorities")
        name = _text(_get(entry, "username", _get(entry, "name", "")))
        users[name] = _words(_get(entry, "authorities", []), file)
    return users


def _session_settings(node: _Node, file: Path, limits: GroupLimits) -> SessionSettings:
    known = {
        "enabled", "login-root", "challengeSize", "dhSecretSize", "keepAliveMs", "keepAliveLoginMs",
        "keepAliveTimerMs", "dhBase", "dhModulus",
    }  # fmt: skip
    for name in node.keys() - {_folded(name) for name in known}:
        logger.warning("%s: security.api-keys.sessions.%s is not known here and has no effect", file, name)
    default = SessionSettings()
    root = _text(_get(node, "login-root", "")).strip("/")
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
        # A challenge must be too long to guess and to meet twice, and fit into one reply.
        challenge_size=_number(node, "challengeSize", default.challenge_size, 16, 65_536, file),
        dh_secret_size=_number(node, "dhSecretSize", default.dh_secret_size, 16, 4_096, file),
        keep_alive_ms=_number(node, "keepAliveMs", default.keep_alive_ms, 1, 10**12, file),
        keep_alive_login_ms=_number(node, "keepAliveLoginMs", default.keep_alive_login_ms, 1, 10**12, file),
        keep_alive_timer_ms=_number(node, "keepAliveTimerMs", default.keep_alive_timer_ms, 1, 10**12, file),
        group=group,
    )


def _number(node: _Node, name: str, default: int, lowest: int, highest: int, file: Path) -> int:
    text = _text(_get(node, name, str(default))).replace("_", "")
    if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
        raise ConfigurationError(f"{file}: security.api-keys.sessions.{name} is a number from {lowest} to {highest}")
    return int(text)


def _hexadecimal(node: _Node, name: str, default: int, file: Path) -> int:
    text = "".join(_text(_get(node, name, f"{default:x}")).split())
    try:
        return int(text, 16)
    except ValueError:
        raise ConfigurationError(f"{file}: security.api-keys.sessions.{name} is a hexadecimal number") from None


def _truth(node: _Node, name: str, file: Path) -> bool:
    text = _text(_get(node, name, "false")).lower()
    if text not in ("true", "false", "on", "off", "yes", "no"):
        raise ConfigurationError(f"{file}: security.api-keys.sessions.{name} is true or false")
    return text in ("true", "on", "yes")


def _security(file: Path) -> _Node:
    document = _yaml_document(file)
    if _folded("security") not in document:
        raise ConfigurationError(f"{file}: has no section `security`; is this the application.yaml?")
    security = document[_folded("security")]
    if not isinstance(security, dict):
        raise ConfigurationError(f"{file}: nothing is inside of `security`; has the file lost its indentation?")
    return security


def _yaml_document(file: Path) -> _Node:
    text = _read(file)
    try:
        # The base loader builds nothing but text, lists and mappings: safer than the safe one.
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        # Not the error's own text: it quotes the file, and with it perhaps a secret.
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigurationError(f"{file}: no readable YAML{where}; check the indentation there") from None
    except yaml.YAMLError:
        raise ConfigurationError(f"{file}: no readable YAML") from None
    return _mapping(document, file)


def _json_document(file: Path) -> _Node:
    try:
        document = json.loads(_read(file))
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{file}: no readable JSON in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ConfigurationError(f"{file}: no readable JSON") from None
    return _mapping(document, file)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file}: is not UTF-8 text") from None


def _mapping(document: object, file: Path) -> _Node:
    folded = _fold(document)
    if not isinstance(folded, dict):
        raise ConfigurationError(f"{file}: is no mapping of names to values")
    return folded


def _folded(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


def _fold(node: object) -> object:
    """*node* with every key folded, and dotted keys taken apart."""
    if isinstance(node, list):
        return [_fold(item) for item in node]
    if not isinstance(node, dict):
        return node
    result: _Node = {}
    for key, value in node.items():
        first, *rest = _folded(str(key)).split(".")
        item = _fold(value)
        for part in reversed(rest):
            item = {part: item}
        _merge(result, first, item)
    return result


def _merge(node: _Node, name: str, item: object) -> None:
    present = node.get(name)
    if isinstance(present, dict) and isinstance(item, dict):
        for key, value in item.items():
            _merge(present, key, value)
    else:
        node[name] = item


def _get(node: _Node, name: str, default: object) -> Any:
    value = node.get(_folded(name), default)
    return default if value is None else value


def _child(node: _Node, name: str) -> _Node:
    value = _get(node, name, {})
    return value if isinstance(value, dict) else {}


def _list(value: object, file: Path) -> list[Any]:
    if value in ("", None):
        return []
    if not isinstance(value, list):
        raise ConfigurationError(f"{file}: a list was expected where the keys, users or authorities are")
    return value


def _words(value: object, file: Path) -> frozenset[str]:
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    return frozenset(_text(word) for word in _list(value, file))


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None or isinstance(value, list | dict) else str(value)
