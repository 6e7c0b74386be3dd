"""What gateways reported, by day and run."""

from __future__ import annotations

import csv
import io
import json

from cryptoproto.licensing import (
    KeyPair,
)
from cryptoproto.licensing.manager import to_csv
from cryptoproto.licensing.manager.usage import MOST_RUNS_PER_DAY, OTHER_RUNS
from tests.support.licensing.asker import Asker, granted
from tests.support.licensing.simulated_time import SECOND, START_NS, SimulatedClock


def test_usage_is_forgotten_in_the_end(asker: Asker, clock: SimulatedClock) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    asker.ask("A1")
    clock._steady_ns = 402 * 86_400 * SECOND
    asker.ask("A1")
    assert [row.day for row in asker.manager.usage()] == ["2027-10-28"]


def test_usage_is_kept_per_day_and_run(asker: Asker, clock: SimulatedClock) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    asker.ask("A1", session_id="s1", create_order=5)
    asker.ask("A1", session_id="s1", create_order=7, hostname="=cmd()")
    asker.ask("A2", session_id="s2")
    clock._steady_ns = 86_400 * SECOND
    asker.ask("A1", session_id="s1")
    rows = asker.manager.usage()
    assert [(row.day, row.session_id, row.granted, row.refused, row.last_reason) for row in rows] == [
        ("2026-09-21", "s1", 2, 0, None),
        ("2026-09-21", "s2", 0, 1, "no_free_license"),
        ("2026-09-22", "s1", 1, 0, None),
    ]
    assert rows[0].facts["create_order"] == 7
    assert "nonce" not in rows[0].facts
    assert asker.manager.usage(since="2026-09-22") == rows[2:]
    assert asker.manager.usage(public_key=KeyPair.generate().public_key) == []
    table = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert table[0]["hostname"] == "'=cmd()"
    assert json.loads(table[0]["cpu_affinity"]) == [0, 1, 65_535]
    assert table[1]["last_reason"] == "no_free_license"


def test_requests_that_are_refused_unread_are_counted(asker: Asker, clock: SimulatedClock) -> None:
    key = asker.keys.public_key
    asker.manager.administration.add_agreement(key, "*", licenses=1)
    good = asker.body("A1")
    for body in (good[:-1], asker.body("A1", accounts=0), asker.body(accounts=2)):
        assert asker.outcome(asker.manager.handle(body)) == "malformed"
    clock._steady_ns = 5 * SECOND
    assert asker.ask("A1", request_time_utc=0) == "malformed"
    assert asker.ask("A1", request_time_utc=START_NS - 400 * SECOND) == "stale"
    assert granted(asker.outcome(asker.manager.handle(good)))
    assert asker.outcome(asker.manager.handle(good)) == "stale"  # sent twice
    rows = {row.last_reason: row for row in asker.manager.usage()}
    assert (rows["malformed"].refused, rows["malformed"].granted) == (4, 0)
    assert (rows["malformed"].first_ns, rows["malformed"].last_ns) == (START_NS, START_NS + 5 * SECOND)
    assert (rows["malformed"].public_key, rows["malformed"].package) == (key, "")
    assert rows["stale"].refused == 2
    assert (rows[None].granted, rows[None].refused) == (1, 0)
    assert asker.manager.usage(public_key=key, since="2026-09-22") == []
    assert "malformed" in to_csv(rows.values())


def test_requests_of_a_key_that_asks_too_often_are_counted(asker: Asker) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    for _ in range(103):
        asker.ask("A1")
    rows = {row.last_reason: row for row in asker.manager.usage()}
    assert (rows[None].granted, rows["too_many_requests"].refused) == (100, 3)


def test_keys_without_an_agreement_add_nothing(asker: Asker) -> None:
    """Anybody can make such a key."""
    assert asker.ask("A1") == "no_agreement"
    assert asker.outcome(asker.manager.handle(b"")) == "malformed"
    assert asker.manager.usage() == []


def test_what_a_licensee_can_store_is_bounded(asker: Asker, clock: SimulatedClock) -> None:
    admin = asker.manager.administration
    admin.add_agreement(asker.keys.public_key, "*", licenses=1)
    other = Asker(asker.manager, KeyPair.generate(), clock)
    admin.add_agreement(other.keys.public_key, "*", licenses=1)
    for number in range(MOST_RUNS_PER_DAY + 50):
        clock._steady_ns += SECOND
        assert granted(asker.ask(session_id=f"run {number}"))
    assert granted(asker.ask(session_id="run 7"))  # a run that has its row goes on with it
    assert granted(other.ask(session_id="mine"))
    rows = asker.manager.usage(public_key=asker.keys.public_key)
    assert len(rows) == MOST_RUNS_PER_DAY + 1
    by_run = {row.session_id: row for row in rows}
    assert by_run["run 7"].granted == 2
    assert by_run[OTHER_RUNS].granted == 50
    assert by_run[OTHER_RUNS].facts == {}
    assert [row.session_id for row in asker.manager.usage(public_key=other.keys.public_key)] == ["mine"]
    clock._steady_ns += 86_400 * SECOND
    assert granted(asker.ask(session_id="new day"))
    assert asker.manager.usage()[-1].session_id == "new day"


def test_a_long_list_is_stored_with_its_first_values(asker: Asker) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    assert granted(asker.ask("A1", cpu_affinity=tuple(range(1000))))
    assert asker.manager.usage()[0].facts["cpu_affinity"] == list(range(256))
