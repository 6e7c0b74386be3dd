"""Running scripts: outcomes, reasons and transcripts, against this package's exchange and client."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.conformance import Outcome, Result, parse_script
from tests.support.conformance import run_on_own_peer

Keys = dict[str, cp.PrivateKey]


def run(steps: str, keys: Keys, *, peer: str = "exchange", strict: str = "yes", **options: Any) -> Result:
    text = f"Title: t\nChecks: c\nPeer: {peer}\nStrict: {strict}\n\n{steps}"
    return run_on_own_peer(parse_script(text, name="n", file="f"), cp.Protocol.V5, keys, **options)


def test_a_failure_says_what_was_expected_and_what_came(keys: Keys) -> None:
    result = run("connect alice\n> CancelOrder order_id=5\n< event OrderNotFound order_id=6", keys)
    assert (result.outcome, result.line) == (Outcome.FAILED, 8)
    assert result.reason.startswith("expected: < event OrderNotFound order_id=6\ngot: event OrderNotFound order_id=5")
    assert "(order_id is 5, not 6)" in result.reason
    assert any("alice < event OrderNotFound order_id=5" in line for line in result.transcript)
    assert "   7  > CancelOrder order_id=5" in result.transcript


def test_a_failure_of_a_script_that_is_not_strict(keys: Keys) -> None:
    assert run("connect alice\n< event", keys, strict="no").outcome is Outcome.NOT_STRICT


def test_another_end_than_the_documents_ask_for(keys: Keys) -> None:
    result = run("connect alice\n> CancelAllOrders [sequence 0]\n< close 1002 *", keys)
    assert result.outcome is Outcome.NOT_STRICT
    assert result.reason.startswith("line 8: expected: < close 1002 *; got: close 4001")


def test_nothing_came(keys: Keys) -> None:
    result = run("connect alice\n> CancelAllOrders\n< event", keys, timeout=3.0)
    assert "got: nothing within 3 s" in result.reason


def test_something_came_where_nothing_should(keys: Keys) -> None:
    result = run("connect alice\n> CancelOrder order_id=5\n< nothing", keys)
    assert result.reason.startswith("expected: nothing for 1 s\ngot: event OrderNotFound")


def test_what_was_passed_over_is_shown(keys: Keys) -> None:
    result = run("connect alice\n> CancelOrder order_id=5\n<< event SetBalance", keys)
    assert "after: event OrderNotFound order_id=5" in result.reason


def test_no_ping_came(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.transport.Heartbeat.start", lambda heartbeat: None)
    result = run("connect alice\n< ping", keys)
    assert result.reason == "expected: < ping\ngot: no ping within 6 s"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("connect alice\n> CancelOrder order_id=$order\n< close", "$order has no value yet"),
        ("connect alice\nbob> CancelAllOrders\n< close", "there is no connection bob"),
        ("> CancelAllOrders\n< close", "there is no connection yet"),
        ("watch feed\n> CancelAllOrders\n< close", "readers of market data send nothing but raw and text"),
        ('open alice\n> raw "00"\n< hello', "unreadable|close"),
    ],
)
def test_a_script_that_cannot_go_on(steps: str, words: str, keys: Keys) -> None:
    result = run(steps, keys)
    assert result.outcome is Outcome.FAILED
    assert any(word.lstrip("\\") in result.reason for word in words.split("|"))


def test_a_client_that_cannot_do_something_skips_the_script(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unsupported(driver: Any, action: Any) -> str:
        return f"this client cannot {action['do']}"

    monkeypatch.setattr("cryptoproto.conformance.ClientDriver.do", unsupported)
    result = run("do connect\naccept", keys, peer="client")
    assert (result.outcome, result.reason) == (Outcome.SKIPPED, "this client cannot connect")


def test_reports_of_an_end_come_in_any_order(keys: Keys) -> None:
    steps = (
        "do connect\naccept\ndo request UserBalanceRequest [tag a]\n< request UserBalanceRequest\ncut\n"
        "report {}\nreport {}\nreport nothing"
    )
    for order in (("failed [tag a]", "ended"), ("ended", "failed [tag a]")):
        assert run(steps.format(*order), keys, peer="client").outcome is Outcome.PASSED


def test_a_client_that_does_not_connect(keys: Keys) -> None:
    result = run("open\n< hello", keys, peer="client")
    assert result.reason == "expected: a connection of the client\ngot: none within 5 s"


def test_a_transcript_is_bounded(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.conformance.stage._LONGEST_TRANSCRIPT", 5)
    result = run("connect alice\n> CancelOrder order_id=5 [times 9]\n<< event OrderNotFound order_id=6", keys)
    assert len(result.transcript) == 5


@pytest.mark.parametrize(
    "step",
    [
        "> event OrderNotFound order_id=7 [transaction abc]",
        "> event OrderNotFound order_id=7 [transaction 99999999999999999999]",
        "> event OrderNotFound order_id=7 [flip byte 1.5]",
        "> event OrderNotFound order_id=7 [times x]",
        "> error abc",
        "> throttling level=x",
        "> hello last_sequence=x",
        "> raw zeros=x",
    ],
)
def test_a_value_that_cannot_be_sent(step: str, keys: Keys) -> None:
    result = run(f"do connect\naccept\n{step}\nreport nothing", keys, peer="client")
    assert result.outcome is Outcome.FAILED
    assert result.line == 8
    assert result.reason.startswith(f"{step}: a value cannot be used: ")


def test_a_value_that_cannot_be_used_to_connect(keys: Keys) -> None:
    result = run("connect alice resume=x\n< close", keys)
    assert result.reason.startswith("connect alice resume=x: a value cannot be used: ")
