"""Connections of a client that come while no script runs."""

from __future__ import annotations

import pytest

from cryptoproto.conformance import Arrivals
from cryptoproto.transport import memory_pair
from tests.support.links import Recorder

pytestmark = pytest.mark.usefixtures("clean_loop")


async def test_they_are_cut() -> None:
    client = Recorder()
    here, _ = memory_pair(client, Arrivals().make_listener())
    here.send(b"hello")
    here.send_text("hello")
    here.ping()
    assert (await client.closed).code is None
