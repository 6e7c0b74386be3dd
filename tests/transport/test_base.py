"""Options for opening a link, and the choice of a subprotocol."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.transport import OpenOptions
from cryptoproto.transport.base import subprotocol_refusal


@pytest.mark.parametrize(
    "names", [("two words",), ("a,b",), ("",), ("a\r\nHost: x",), (1,), "v12.stomp", ["v12.stomp"]]
)
def test_names_that_no_subprotocol_has(names: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="must be a tuple of names"):
        OpenOptions(subprotocols=names)


def test_names_that_a_subprotocol_can_have() -> None:
    names = ("v12.stomp", "a", "!#$%&'*+.^_`|~-")
    assert OpenOptions(subprotocols=names).subprotocols == names


OFFERED = ("v12.stomp", "v11.stomp")


@pytest.mark.parametrize(
    ("offered", "headers"), [(OFFERED, []), (OFFERED, ["v11.stomp"]), ((), []), (OFFERED, [" v12.stomp "])]
)
def test_answers_that_are_accepted(offered: tuple[str, ...], headers: list[str]) -> None:
    assert subprotocol_refusal(offered, headers) is None


@pytest.mark.parametrize(
    ("offered", "headers", "words"),
    [
        (OFFERED, ["mqtt"], "the subprotocol 'mqtt', and we offered v12.stomp and v11.stomp"),
        (OFFERED, ["v12.stomp, v11.stomp"], "'v12.stomp, v11.stomp'"),
        (OFFERED, ["v12.stomp", "v11.stomp"], "'v12.stomp, v11.stomp'"),
        ((), ["v12.stomp"], "and we offered none"),
        (OFFERED, ["x" * 10_000], "x" * 200),
    ],
)
def test_answers_that_are_refused(offered: tuple[str, ...], headers: list[str], words: str) -> None:
    refusal = subprotocol_refusal(offered, headers)
    assert isinstance(refusal, cp.HandshakeError)
    assert words in str(refusal)
    assert len(str(refusal)) < 400
