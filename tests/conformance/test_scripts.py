"""Every script that belongs to the package, against this package's exchange and client."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.conformance import SCRIPTS, Outcome, Script, load_scripts
from tests.support.conformance import run_on_own_peer

DOCS = Path(__file__).parents[2] / "docs"
EXCHANGE = load_scripts(peer="exchange")
CLIENT = load_scripts(peer="client")


def name_of(script: Script) -> str:
    return script.name


@pytest.mark.parametrize("script", EXCHANGE + CLIENT, ids=name_of)
def test_own_peers_pass(script: Script, keys: dict[str, cp.PrivateKey]) -> None:
    for protocol in script.protocols:
        result = run_on_own_peer(script, protocol, keys)
        assert result.outcome is Outcome.PASSED, "\n".join((result.reason, *result.transcript))
        assert result.line == 0


def test_there_are_scripts_for_every_topic() -> None:
    topics = Counter(script.topic for script in EXCHANGE + CLIENT)
    assert sum(topics.values()) >= 150
    assert set(topics) == {
        *(f"exchange/{topic}" for topic in (
            "cancels", "errors", "frames", "handshake", "heartbeat", "limits", "market-data", "money", "orders",
            "pairs", "replay", "restarts", "rpc", "sequences", "takeover", "throttling",
        )),
        *(f"client/{topic}" for topic in (
            "close", "errors", "events", "frames", "handshake", "heartbeat", "orders", "rpc", "sequences", "throttling",
        )),
    }  # fmt: skip


def test_the_sections_exist() -> None:
    known = {f"{page.name}#{anchor}" for page in DOCS.glob("*.md") for anchor in anchors(page.read_text())}
    assert {script.name: script.section for script in EXCHANGE + CLIENT if script.section not in known} == {}


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_titles_are_different() -> None:
    titles = Counter((script.peer, script.title) for script in EXCHANGE + CLIENT)
    assert [title for title, times in titles.items() if times > 1] == []


def test_the_page_shows_a_script_as_it_is_and_the_right_numbers() -> None:
    page = (DOCS / "conformance.md").read_text()
    shown = page.partition("```text\n")[2].partition("```")[0]
    assert shown == (SCRIPTS / "exchange/sequences/repeated-is-not-handled-twice.txt").read_text()
    assert f"{len(EXCHANGE)} for exchanges and {len(CLIENT)} for clients" in page


def test_the_page_names_every_setting_action_and_report() -> None:
    page = (DOCS / "conformance.md").read_text()
    words = {key for script in EXCHANGE + CLIENT for step in script.steps for key in step.settings}
    words |= {step.kind for script in EXCHANGE + CLIENT for step in script.steps if step.verb in ("do", "report")}
    assert {word for word in words if not re.search(rf"[`\[ ]{word}[`\] ]", page)} == set()
