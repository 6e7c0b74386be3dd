"""Rows of a journal and their checksums."""

from __future__ import annotations

from cryptoproto.exchange.commands import Submit
from cryptoproto.exchange.journal_schema import (
    Head,
    decode_command,
    encode_command,
    event_checksum,
    row_checksum,
)
from cryptoproto.messages import CancelAllOrders


def test_events_are_chained_by_client() -> None:
    head = Head()
    _, first = head.follow(1, 1, b"{}", 5, [(1, b"one"), (2, b"two"), (1, b"three")])
    before = head.copy()
    _, second = head.follow(None, None, None, 0, [(1, b"four")])
    assert [row[:3] for row in first + second] == [(1, 1, 5), (2, 2, 5), (1, 3, 5), (1, 4, 0)]
    assert first[0][4] == event_checksum(1, 1, 5, b"one"), "the first event follows the client's number"
    assert first[2][4] == event_checksum(first[0][4], 3, 5, b"three")
    assert second[0][4] == event_checksum(first[2][4], 4, 0, b"four")
    assert head.chains == {1: (4, second[0][4]), 2: (2, first[1][4])}
    assert before.chains == {1: (3, first[2][4]), 2: (2, first[1][4])}
    assert (head.number, head.transaction_id) == (2, 4)


def test_commands_are_chained() -> None:
    one, other = Head(), Head(checksum=1)
    assert one.follow(1, 1, b"{}", 0, [])[0][5] != other.follow(1, 1, b"{}", 0, [])[0][5]


def test_row_checksums_tell_values_apart() -> None:
    assert row_checksum("ab", "c") != row_checksum("a", "bc")
    assert row_checksum(1, b"2") != row_checksum(12, b"")


def test_commands_survive_their_row() -> None:
    command = Submit("alice", CancelAllOrders(), 5)
    assert decode_command(encode_command(command).decode()) == command
