"""This package's client, driven by actions. The scripts for clients use all of it."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.conformance import ClientDriver
from cryptoproto.conformance.driver import reason_of

pytestmark = pytest.mark.usefixtures("clean_loop")


async def test_actions_that_cannot_be_taken() -> None:
    driver = ClientDriver(lambda report: None)
    assert await driver.do({"do": "dance"}) == "this client cannot dance"
    for action, words in (
        ({}, "needs 'do'"),
        ({"do": "connect"}, "needs 'private_key'"),
        ({"do": "send", "message": {}}, "the client is not connected"),
        ({"do": "close"}, "the client is not connected"),
    ):
        with pytest.raises(cp.ConfigurationError, match=words):
            await driver.do(action)
    assert await driver.do({"do": "reset"}) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (cp.InvalidPayload(2, "no"), "error"),
        (cp.HeartbeatTimeout(None, "silence"), "heartbeat"),
        (cp.ConcurrentConnection(4000, ""), "closed"),
        (cp.DecodeError("?"), "unreadable"),
        (cp.InvalidKey("?"), "key"),
        (cp.UnsupportedVersion("?"), "version"),
        (cp.OpenTimeout("?"), "timeout"),
        (cp.HandshakeError("?"), "refused"),
        (cp.ConfigurationError("?"), "ConfigurationError"),
    ],
)
def test_reasons(error: cp.CryptoprotoError, reason: str) -> None:
    assert reason_of(error) == reason
