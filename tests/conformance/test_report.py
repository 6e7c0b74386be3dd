"""The report: plain values, and a page."""

from __future__ import annotations

import cryptoproto as cp
from cryptoproto.conformance import Outcome, Result, as_dict, html_page, load_scripts, totals

GAP, *_ = load_scripts(peer="exchange", only=["exchange/sequences/gap"])
SIGNED, V5 = cp.Protocol.SIGNED, cp.Protocol.V5
PASSED = Result(GAP, SIGNED, Outcome.PASSED, "", 0, ("   6  connect alice",), 0.0123456)
FAILED = Result(GAP, V5, Outcome.FAILED, "expected: < close 4001\ngot: <b>nothing</b>", 8, ("one", "<i>two</i>"), 5.0)
SKIPPED = Result(GAP, SIGNED, Outcome.SKIPPED, "nobody can restart this peer", 0, ("one",), 0.0)


def test_totals() -> None:
    assert totals([PASSED, FAILED, PASSED]) == {
        Outcome.PASSED: 2, Outcome.NOT_STRICT: 0, Outcome.FAILED: 1, Outcome.SKIPPED: 0,
    }  # fmt: skip


def test_plain_values() -> None:
    assert as_dict(PASSED) == {
        "script": "exchange/sequences/gap",
        "title": GAP.title,
        "section": "protocol.md#close-codes",
        "protocol": "signed",
        "outcome": "passed",
        "seconds": 0.012,
    }
    failed = as_dict(FAILED)
    assert (failed["line"], failed["transcript"]) == (8, ["one", "<i>two</i>"])
    assert failed["reason"].startswith("expected")


def test_the_page_shows_each_script_and_why_it_failed() -> None:
    page = html_page([PASSED, FAILED], "exchange ws://a&b")
    assert "exchange ws://a&amp;b" in page
    assert GAP.title in page
    assert "got: &lt;b&gt;nothing&lt;/b&gt;" in page
    assert "&lt;i&gt;two&lt;/i&gt;" in page
    assert "<b>nothing" not in page
    assert 'href="#exchange-sequences-gap-v5"' in page
    assert 'id="exchange-sequences-gap-v5"' in page
    assert "http" not in page.partition("<body>")[0], "the page needs no other file"


def test_a_page_without_failures_and_one_with_skipped_scripts() -> None:
    assert "What did not pass" not in html_page([PASSED], "client")
    page = html_page([SKIPPED], "client")
    assert "nobody can restart this peer" in page
    assert '<td class="outcome">–</td>' in page
