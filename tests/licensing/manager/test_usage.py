"""What gateways reported, by day and run."""

from __future__ import annotations

import csv
import io
import json

from cryptoproto.licensing import (
    KeyPair,
)
from cryptoproto.licensing.manager import to_csv
from tests.support.licensing.asker import Asker
from tests.support.licensing.simulated_time import SECOND, SimulatedClock


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
