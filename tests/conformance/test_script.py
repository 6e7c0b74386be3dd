"""What a script says about itself."""

from __future__ import annotations

from cryptoproto.conformance import load_scripts


def test_topic_and_actions() -> None:
    (script,) = load_scripts(peer="exchange", only=["exchange/pairs/enabled-again"])
    assert script.topic == "exchange/pairs"
    assert script.actions == ("disable", "enable")
