"""Every close code: what it means, which error it becomes, and what a client does about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cryptoproto.client.states import reaction_to
from cryptoproto.wire import CloseCode, connection_closed

from ..markdown import table

__all__ = ["page"]

_PROTOCOL: Final = Path(__file__).parents[3] / "docs" / "protocol.md"
_HEAD: Final = """\
# Close codes

How a WebSocket connection of the protocol ends. A [`Connection`][cryptoproto.Connection] raises the error; its `code` and `reason`
are what was received. A [`Client`][cryptoproto.Client] reconnects, or enters `CLOSED` if a retry cannot succeed. A code that is not
listed becomes a plain [`ConnectionClosed`][cryptoproto.ConnectionClosed], and so does a link that is lost without a code (`code` is
`None`). During the handshake the errors are those of the handshake: see [errors](../errors.md).
"""


def page() -> str:
    """The page."""
    meanings = {
        int(code): meaning
        for code, meaning in re.findall(
            r"^\| (\d{4}) \| ([^|]+) \|", _PROTOCOL.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    rows = []
    for code in CloseCode:
        error = connection_closed(code, "")
        name = type(error).__name__
        rows.append([str(int(code)), meanings[code], f"[`{name}`][cryptoproto.{name}]", _reaction(code)])
    return f"{_HEAD}\n{table(['code', 'meaning', 'error', 'what `Client` does'], rows)}\n"


def _reaction(code: CloseCode) -> str:
    reaction = reaction_to(connection_closed(code, ""))
    if reaction.stop:
        return "closes for good"
    if reaction.least_delay_s:
        return f"reconnects after {reaction.least_delay_s:g} seconds or more"
    return "reconnects"
