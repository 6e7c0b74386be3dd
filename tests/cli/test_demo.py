"""``demo``: it trades on an exchange of its own and checks that nothing was lost."""

from __future__ import annotations

from tests.support.command_line import run


def test_the_demonstration_checks_itself() -> None:
    result = run("demo", "--seconds", "1", "--json")
    assert result.code == 0, result.err + result.out
    (shown,) = result.lines
    assert shown["passed"] is True
    assert len(shown["checks"]) >= 12
    assert all(bot["transactions"] > 0 for bot in shown["bots"])


def test_the_demonstration_for_people() -> None:
    shown = run("demo", "--seconds", "1", "--protocol", "v5")
    assert shown.code == 0, shown.err
    assert "all checks passed" in shown.out
