"""A client that is created where no event loop runs."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.client.event_loop import check_running_loop


def test_outside_a_coroutine_the_error_says_what_to_do(alice_key: cp.PrivateKey) -> None:
    with pytest.raises(
        cp.ConfigurationError, match=r"create a Client in a coroutine, .* use cryptoproto\.sync\.Client"
    ):
        cp.Client(
            "ws://127.0.0.1:1", client_id="alice", private_key=alice_key, server_key=alice_key.public_key
        )  # fmt: skip


async def test_in_a_coroutine_there_is_one() -> None:
    check_running_loop()
