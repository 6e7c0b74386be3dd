"""Secrets that somebody has written into a configuration file: found, and refused without showing them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..arguments import redacted
from ..exceptions import ConfigurationError

__all__ = ["refuse_secrets"]

_NAMES: Final = frozenset(
    {
        "api_key", "api_secret", "key_password", "passphrase", "passwd", "password", "pin", "private_key", "secret",
        "secret_key", "token",
    }
)  # fmt: skip


def refuse_secrets(document: dict[str, Any], where: str) -> None:
    """Check every key and text of a configuration file.

    Raises:
        ConfigurationError: it holds a password, a private key or another secret. The error names its key and says where
            it belongs.
    """
    for name, advice in _secrets(document, ""):
        raise ConfigurationError(f"{where}: {name} is a secret, and this file must not hold secrets; {advice}")


def _secrets(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner, name)
    elif isinstance(value, str) and "PRIVATE KEY-----" in value:
        yield name, 'save it with mode 0600 and name its path: key = "alice.pem"'
    elif isinstance(value, str) and redacted(value) != value:
        yield f"the name and password in {name}", "put the whole address into the environment (CRYPTOPROTO_URL …)"
    elif (last := name.rpartition(".")[2].lower().replace("-", "_")) in _NAMES:
        yield name, _advice(last)


def _advice(name: str) -> str:
    if name == "private_key":
        return 'name the file that holds it: key = "alice.pem"'
    return 'write password_command = ["pass", "show", "alice"], or set CRYPTOPROTO_PASSWORD'
