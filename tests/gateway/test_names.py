from __future__ import annotations

import pytest

from cryptoproto.exceptions import ConfigurationError
from cryptoproto.gateway.names import Names, check_strategy


def test_names_of_a_client_id() -> None:
    names = Names("alice")
    assert names.events == "cryptoproto.alice.events"
    assert names.log_stream == "cryptoproto-alice-log"
    assert names.command("mm1") == "cryptoproto.alice.command.mm1"
    assert names.strategy_of(names.command("mm1")) == "mm1"
    assert names.state == "cryptoproto.alice.state"
    assert names.broadcast == "cryptoproto.alice.broadcast"
    assert names.operation("kill") == "cryptoproto.alice.operation.kill"


def test_no_two_client_ids_share_a_name() -> None:
    assert Names("a.b").root == "cryptoproto.a=2Eb"
    assert Names("a=2Eb").root == "cryptoproto.a=3D2Eb"
    assert Names("ä*>").root == "cryptoproto.=C3=A4=2A=3E"


@pytest.mark.parametrize("name", ["", "a.b", "a b", "*", ">", "ä", "a" * 65, "a\n"])
def test_what_cannot_be_a_strategy(name: str) -> None:
    with pytest.raises(ConfigurationError, match="strategy="):
        check_strategy(name)
    with pytest.raises(ConfigurationError, match="prefix="):
        Names("alice", name)


def test_a_client_id_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="client_id"):
        Names("")
