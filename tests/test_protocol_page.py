"""The tables of the protocol page agree with those of the code."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.messages import Message
from cryptoproto.wire import (
    HEARTBEAT_TEXT,
    ClientFrameType,
    CloseCode,
    ServerFrameType,
    connection_closed,
    server_error,
)

PAGE = (Path(__file__).parents[1] / "docs" / "protocol.md").read_text()


def section(title: str) -> str:
    return re.split(r"^#+ ", PAGE.partition(f" {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(title: str) -> dict[int, list[str]]:
    """The rows of the table that begin with a number."""
    found = re.findall(r"^\| (-?\d+) \| (.*) \|$", section(title), re.MULTILINE)
    assert found, title
    return {int(number): rest.split(" | ") for number, rest in found}


def words(name: str) -> str:
    return name.lower().replace("_", " ").replace("rpc", "RPC")


@pytest.mark.parametrize(
    ("title", "kind"), [("Client frame types", ClientFrameType), ("Server frame types", ServerFrameType)]
)
def test_frame_types(title: str, kind: type[IntEnum]) -> None:
    assert {number: row[0] for number, row in rows(title).items()} == {int(one): words(one.name) for one in kind}


def test_error_types() -> None:
    table = rows("Error types")
    assert set(table) == {int(one) for one in cp.ErrorType}
    for one in cp.ErrorType:
        name, exception = table[one]
        assert name.startswith(words(one.name))
        assert exception == f"`{type(server_error(one, '')).__name__}`"
    assert f"`{HEARTBEAT_TEXT}`" in section("Error types")


def test_close_codes() -> None:
    table = rows("Close codes")
    assert set(table) == {int(code) for code in CloseCode}
    for code, (_, exception) in table.items():
        assert exception == f"`{type(connection_closed(code, '')).__name__}`"


def test_messages() -> None:
    named = set(re.findall(r"`(\w+)`", section("Messages") + section("Market data"))) & set(cp.__all__)
    bases = {"Message", "PlaceOrder", "OrderPlaced", "OrderAmountChanged", "OrderCancelled", "OrderClosed"}
    messages = {
        name for name in cp.__all__ if isinstance(getattr(cp, name), type) and issubclass(getattr(cp, name), Message)
    }
    assert named == messages - bases


def test_both_forms_are_explained() -> None:
    for protocol in cp.Protocol:
        assert f"Protocol.{protocol.name}" in section("Which form an exchange speaks")
