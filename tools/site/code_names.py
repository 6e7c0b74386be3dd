"""Links from names in the text of a page to their place in the API."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Final

from .public_names import exported

__all__ = ["linked"]

_FENCE: Final = re.compile(r"^( *```.*?^ *```)", re.MULTILINE | re.DOTALL)
_NAME: Final = re.compile(r"\[[^\]]*\]\([^)]*\)|^#.*$|`([A-Z]\w+)`", re.MULTILINE)
_ELSEWHERE: Final = (
    "cryptoproto.exchange.Exchange",
    "cryptoproto.gateway.Gateway",
    "cryptoproto.gateway.GatewayClient",
)


def linked(text: str) -> str:
    """*text* with the first mention of each public class in a section as a link. Links, headings and blocks stay."""
    seen: set[str] = set()

    def link(found: re.Match[str]) -> str:
        name = found[1]
        if found[0].startswith("## "):
            seen.clear()
        if not name or name in seen or name not in _classes():
            return found[0]
        seen.add(name)
        return f"[`{name}`][{_classes()[name]}]"

    parts = _FENCE.split(text)
    return "".join(part if part.lstrip().startswith("```") else _NAME.sub(link, part) for part in parts)


@functools.cache
def _classes() -> dict[str, str]:
    """Where the public classes are, by their last name: those of ``cryptoproto``, and a few that everybody meets."""
    names = [name for name in exported() if name.count(".") == 1] + list(_ELSEWHERE)
    return {name.rpartition(".")[2]: name for name in names if inspect.isclass(exported()[name])}
