from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cryptoproto.client.error_row import ErrorRow
from cryptoproto.gateway.command_log import CommandLog
from cryptoproto.gateway.records import Answered, Checkpoint, Connected, Intent, Rewound, Takeover


def intent(command: str, sequence: int = 1) -> Intent:
    return Intent(command, "one", "place", msgspec.Raw(b"{}"), sequence, created_ns=5, client_order_id=7)


def answered(command: str, **more: Any) -> Answered:
    return Answered(command, "one", ErrorRow(), **more)


def test_a_command_is_open_from_its_intent_to_its_answer() -> None:
    log = CommandLog()
    log.apply(Takeover(3, "m"), 1)
    log.apply(intent("b", 2), 2)
    log.apply(intent("a", 1), 3)
    assert log.fence == 3
    assert [each.command for each in log.open_intents] == ["a", "b"]
    (_, entry), _ = log.outbox()
    assert (entry.kind, entry.sequence, entry.client_order_id, entry.payload) == ("place", 1, 7, b"{}")
    log.apply(answered("a", settled_through=9), 4)
    assert log.intent("a") is None
    assert log.intent("b") is not None
    assert log.answer("a") is not None
    assert log.answer("b") is None
    assert log.settled_through == 9


def test_what_a_connection_shows_to_be_unsent() -> None:
    log = CommandLog()
    log.apply(intent("seen", 4), 1)
    log.apply(intent("unseen", 5), 2)
    log.apply(Connected(4), 3)
    log.apply(intent("other", 7), 4)
    assert not log.is_unsent("seen")
    assert log.is_unsent("unseen")
    log.apply(intent("unseen", 8), 5)  # it is about to be sent on the new connection
    assert not log.is_unsent("unseen")
    log.apply(Connected(6), 6)
    log.apply(answered("other"), 7)
    log.apply(intent("unseen", 9), 8)
    assert not log.is_unsent("other")
    assert not log.is_unsent("unseen")


def test_a_connection_that_was_perhaps_not_established_shows_nothing() -> None:
    """Until then, a frame of the owner before may still arrive and count."""
    log = CommandLog()
    log.apply(intent("late", 5), 1)
    log.apply(Takeover(2, "m"), 2)
    log.apply(Connected(4), 3)
    assert not log.is_unsent("late")
    log.apply(Takeover(3, "m"), 4)
    log.apply(Connected(5), 5)
    log.apply(intent("other", 7), 6)
    assert not log.is_unsent("late")


def test_of_two_commands_with_one_sequence_the_first_was_not_sent() -> None:
    log = CommandLog()
    log.apply(intent("first", 4), 1)
    log.apply(intent("second", 4), 2)
    assert log.is_unsent("first")
    assert not log.is_unsent("second")
    log.apply(intent("second", 4), 3)
    assert not log.is_unsent("second")


def test_only_the_latest_sequences_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.gateway.command_log._SEQUENCES", 1)
    log = CommandLog()
    log.apply(intent("first", 4), 1)
    log.apply(intent("second", 5), 2)
    log.apply(intent("third", 4), 3)
    assert not log.is_unsent("first")


def test_the_oldest_answers_are_forgotten() -> None:
    log = CommandLog(kept=2)
    assert log.remembers(1, 0.0)
    for number in range(1, 5):
        log.apply(answered(f"c{number}", fence=1, at=float(number)), number)
    assert [log.answer(f"c{number}") is not None for number in range(1, 5)] == [False, False, True, True]
    assert log.forgotten == 2
    assert log.first_needed == 3
    assert not log.remembers(1, 2.0)
    assert log.remembers(1, 2.5)
    assert log.remembers(2, 0.0)


def test_an_open_intent_is_needed() -> None:
    log = CommandLog(kept=1)
    assert log.first_needed == 0
    log.apply(intent("open"), 1)
    assert log.first_needed == 1
    for number in range(2, 5):
        log.apply(answered(f"c{number}"), number)
    assert log.first_needed == 1
    log.apply(answered("open"), 5)
    assert log.first_needed == 5


def test_a_takeover_comes_to_the_same_after_records_were_deleted() -> None:
    whole, rest = CommandLog(kept=2), CommandLog(kept=2)
    records: list[Any] = [Takeover(8, "m")]
    records += [answered(f"c{number}", fence=8, at=float(number), settled_through=50 - number) for number in range(6)]
    for number, record in enumerate(records, 1):
        whole.apply(record, number)
    checkpoint = whole.checkpoint()
    assert checkpoint == Checkpoint(8, 50, 8, 3.0)
    whole.apply(checkpoint, 8)
    assert whole.forgotten == 0
    for number, record in enumerate([*records, checkpoint], 1):
        if number >= whole.first_needed:
            rest.apply(record, number)
    assert (rest.fence, rest.settled_through, rest.first_needed) == (8, 50, whole.first_needed)
    assert not rest.remembers(8, 3.0)
    assert rest.remembers(8, 3.5)


def test_a_history_that_was_rewound_stays_so() -> None:
    log = CommandLog()
    assert log.rewound is None
    log.apply(Rewound(8, 5, "transaction"), 1)
    log.apply(Takeover(4, "m"), 2)
    assert log.rewound == Rewound(8, 5, "transaction")
