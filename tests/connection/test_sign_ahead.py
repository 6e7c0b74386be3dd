"""What is signed before it is sent, and in which order: without keys, threads or a loop."""

from __future__ import annotations

from cryptoproto.connection.sign_ahead import SignAhead


def planned(ahead: SignAhead, sequence: int) -> list[tuple[bytes, int]]:
    """Everything that is to be signed while *sequence* is the next one, in that order."""
    found = []
    while drafts := ahead.next_drafts(sequence):
        for draft in drafts:
            assert draft.kind == 1
            found.append((draft.payload, draft.number))
            ahead.store(draft, b"signed " + draft.payload + b"%d" % draft.number)
    return found


def test_each_message_is_signed_for_the_next_sequence_and_they_together_for_those_after_it() -> None:
    ahead = SignAhead()
    assert planned(ahead, 5) == []
    for payload in (b"a", b"b", b"c"):
        ahead.add(payload)
    assert len(ahead) == 3
    assert planned(ahead, 5) == [(b"a", 5), (b"b", 5), (b"c", 5), (b"b", 6), (b"c", 7)]
    assert planned(ahead, 5) == []
    assert ahead.body(b"b", 5) == b"signed b5"
    assert ahead.body(b"b", 6) == b"signed b6"
    assert ahead.body(b"a", 6) is None
    assert ahead.body(b"x", 5) is None


def test_after_the_first_was_sent_the_second_is_ready() -> None:
    ahead = SignAhead()
    for payload in (b"a", b"b", b"c"):
        ahead.add(payload)
    planned(ahead, 1)
    ahead.remove(b"a")
    assert ahead.body(b"b", 2) == b"signed b2"
    assert planned(ahead, 2) == [(b"c", 2)]
    assert ahead.body(b"c", 3) == b"signed c3"
    assert ahead.body(b"b", 1) is None, "that sequence was used"


def test_another_message_takes_the_sequence() -> None:
    ahead = SignAhead()
    ahead.add(b"a")
    assert planned(ahead, 1) == [(b"a", 1)]
    assert planned(ahead, 4) == [(b"a", 4)]
    assert ahead.body(b"a", 1) is None


def test_spare_messages_come_last_and_the_latest_of_them_first() -> None:
    ahead = SignAhead()
    for payload in (b"1", b"2", b"3"):
        ahead.add(payload, spare=True)
    ahead.add(b"a")
    ahead.add(b"b")
    assert planned(ahead, 1) == [(b"a", 1), (b"b", 1), (b"3", 1), (b"2", 1), (b"1", 1), (b"b", 2)]


def test_equal_messages_share_their_signatures_until_the_last_is_removed() -> None:
    ahead = SignAhead()
    ahead.add(b"a", spare=True)
    ahead.add(b"b", spare=True)
    ahead.add(b"a")
    ahead.add(b"a")
    assert planned(ahead, 1) == [(b"a", 1), (b"b", 1)]
    ahead.remove(b"a")
    ahead.remove(b"a")
    assert ahead.has(b"a")
    assert planned(ahead, 2) == [(b"b", 2), (b"a", 2)], "it is spare again"
    ahead.remove(b"a", spare=True)
    assert not ahead.has(b"a")
    ahead.remove(b"a", spare=True)
    assert len(ahead) == 1
    ahead.clear()
    assert planned(ahead, 3) == []


def test_signatures_that_come_too_late_are_dropped() -> None:
    ahead = SignAhead()
    ahead.add(b"a")
    ahead.add(b"b")
    (first,), (second,) = ahead.next_drafts(1), ahead.next_drafts(1)
    ahead.remove(b"a")
    ahead.store(first, b"removed")
    assert ahead.body(b"a", 1) is None
    assert planned(ahead, 2) == [(b"b", 2)]
    ahead.store(second, b"used")
    assert ahead.body(b"b", 1) is None


def test_what_is_being_signed_is_not_planned_again() -> None:
    ahead = SignAhead()
    ahead.add(b"a")
    assert len(ahead.next_drafts(1)) == 1
    ahead.add(b"b")
    assert planned(ahead, 1) == [(b"b", 1), (b"b", 2)]


def test_not_all_are_signed_for_sequences_far_ahead() -> None:
    ahead = SignAhead()
    for number in range(50):
        ahead.add(b"%d" % number)
    drafts = planned(ahead, 1)
    assert len(drafts) == 50 + 8
    assert max(number for _, number in drafts) == 9


def test_spare_messages_are_signed_together() -> None:
    ahead = SignAhead()
    ahead.add(b"a")
    ahead.add(b"b")
    for number in range(11):
        ahead.add(b"%d" % number, spare=True)
    assert [len(ahead.next_drafts(1)) for _ in range(6)] == [1, 1, 8, 4, 0, 0]


def test_what_was_given_back_is_signed_later() -> None:
    ahead = SignAhead()
    for payload in (b"1", b"2"):
        ahead.add(payload, spare=True)
    second, first = ahead.next_drafts(1)
    ahead.store(second, b"signed")
    ahead.give_back(first)
    assert planned(ahead, 1) == [(b"1", 1)]
    ahead.remove(b"1", spare=True)
    ahead.give_back(first)
    assert planned(ahead, 1) == []


def test_one_message_that_is_signed_at_once_is_not_planned_again() -> None:
    ahead = SignAhead()
    assert ahead.draft(b"a", 1) is None, "it is not kept signed"
    ahead.add(b"a")
    ahead.add(b"b")
    draft = ahead.draft(b"a", 1)
    assert draft is not None
    assert ahead.draft(b"a", 1) is None, "it was begun"
    assert (b"a", 1) not in planned(ahead, 1)
    ahead.store(draft, b"signed")
    assert ahead.body(b"a", 1) == b"signed"
