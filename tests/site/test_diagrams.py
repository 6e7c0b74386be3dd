"""The diagrams are those that the code makes, and a client goes through the changes that are drawn, and no others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

import cryptoproto as cp
from cryptoproto import State
from tests.support.lines import client_of, patient, until_state
from tests.support.peer import Peer, Script
from tests.support.virtual_time import virtual
from tools.site.diagrams.client_states import CHANGES
from tools.site.diagrams.files import FOLDER, diagrams
from tools.site.diagrams.sequence import recorded


@pytest.mark.parametrize("name", ["frames-signed.svg", "frames-v5.svg", "client-states.svg"])
def test_a_diagram_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == diagrams()[name], "run: python -m tools.site.diagrams"


def test_they_are_pictures_that_describe_themselves() -> None:
    for text in diagrams().values():
        root = ET.fromstring(text)  # noqa: S314, RUF100 - it is our own text
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("aria-label")
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_frames_are_those_of_a_real_handshake_and_one_of_each_type() -> None:
    signed, v5 = recorded(cp.Protocol.SIGNED), recorded(cp.Protocol.V5)
    assert [step.title for step in v5] == [step.title.removesuffix(", signed") for step in signed]
    assert [step.from_client for step in v5] == [True, False, True, True, True, *[False] * 5]
    assert "version 5" in v5[0].content
    assert "version" not in signed[0].content
    assert "last seen order 1007" in v5[0].content
    assert "sequence 42" in v5[3].content


async def follow(client: cp.Client, seen: set[tuple[State, State]]) -> None:
    """Add each change of the client's state."""
    before: State | None = None
    async for change in client.states():
        if before is not None and before is not change.state:
            seen.add((before, change.state))
        before = change.state


def close(code: int, reason: str) -> Callable[[Peer], None]:
    return lambda peer: peer.close(code, reason)


LIVES: tuple[tuple[Callable[[Peer], None] | None, Callable[[Peer], None] | None, State, type[Exception]], ...] = (
    (None, None, State.LIVE, RuntimeError),
    (close(1008, ""), None, State.WAITING, RuntimeError),
    (close(1008, "invalid key: not registered"), None, State.CLOSED, cp.InvalidKey),
    (None, Peer.lose, State.WAITING, RuntimeError),
    (None, close(4000, "another connection"), State.CLOSED, cp.ConcurrentConnection),
)
"""What the exchange does in the handshake, and after it; the state that follows, and what ``start()`` may raise."""


@virtual
async def test_a_client_goes_through_all_changes_that_are_drawn_and_no_others(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    seen: set[tuple[State, State]] = set()
    for in_hello, greeting, at, raised in LIVES:
        script.answer_hello = in_hello
        patient(script)
        if greeting is not None:
            script.greeting = [greeting]
        client = client_of(script, alice_key, backoff=cp.Backoff(0.01, 0.01))
        following = asyncio.create_task(follow(client, seen))
        await asyncio.sleep(0)
        with contextlib.suppress(raised):
            await client.start()
        await until_state(client, at)
        if at is State.LIVE:
            script.peer.lose()
            await until_state(client, State.WAITING)
            await until_state(client, State.LIVE)
        await client.close()
        await following
    assert seen == {(change.before, change.after) for change in CHANGES}
    assert len(CHANGES) == len(seen)
