"""Configuration files and environment variables, from what reads them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, get_type_hints

from cryptoproto.profiles.values import KEYS, InstrumentValues, LimitValues

from ..markdown import heading, table
from .commands import commands

__all__ = ["page", "variables"]

_HEAD: Final = """\
# Configuration

| file | what it configures | described in |
| --- | --- | --- |
| `config.toml` of the user | profiles: the settings of an account | [profiles](../profiles.md), and below |
| `application.yaml`, or a JSON file of keys | the keys that the API-key gateway accepts | [API keys](../apikeys.md#configure-keys) |
| `gateway.toml`, the manager's database, key files | licensing | [licensing](../licensing.md) |
| `nats.conf` | users and rights of a NATS server for gateways, written by `cryptoproto gateway config` | [gateway](../gateway.md#rights) |
| PEM files | RSA keys | [keys](../keys.md) |
"""


def page() -> str:
    """The page."""
    parts = [_HEAD]
    for title, hints in (
        ("[profiles.NAME]", KEYS),
        ("[[profiles.NAME.instruments]]", get_type_hints(InstrumentValues, include_extras=True)),
        ("[profiles.NAME.limits]", get_type_hints(LimitValues, include_extras=True)),
    ):
        rows = [[f"`{name}`", _words(hint)] for name, hint in hints.items()]
        parts += [heading(2, f"`{title}`"), table(["key", "value"], rows)]
    rows = [[f"`{name}`", ", ".join(f"`{use}`" for use in uses)] for name, uses in sorted(variables().items())]
    parts += [heading(2, "Environment variables of the commands"), table(["variable", "option"], rows)]
    return "\n\n".join(parts) + "\n"


def variables() -> Mapping[str, list[str]]:
    """The options that each environment variable stands for."""
    found: dict[str, list[str]] = defaultdict(list)
    for _, command in commands():
        for param in command.params:
            names = getattr(param, "envvar", None) or []
            for name in [names] if isinstance(names, str) else names:
                option = param.opts[0] if param.param_type_name == "option" else str(param.name).upper()
                if option not in found[name]:
                    found[name].append(option)
    return found


def _words(hint: Any) -> str:
    """The description of a type of a profile; below Required, too."""
    for part in (hint, *getattr(hint, "__args__", ())):
        for meta in getattr(part, "__metadata__", ()):
            if getattr(meta, "description", None):
                return str(meta.description)
    return str(getattr(hint, "__name__", hint))
