"""``demo``: it trades on an exchange of its own and checks that nothing was lost."""

from __future__ import annotations

import asyncio
import json
import sys

import httpx
import pytest

import cryptoproto as cp
from cryptoproto.cli.demo import _Demo, _milliseconds, _shown
from cryptoproto.cli.demo_bots import Taker
from tests.support.command_line import run


def test_the_demonstration_checks_itself() -> None:
    result = run("demo", "--seconds", "1", "--json")
    assert result.code == 0, result.err + result.out
    (shown,) = result.lines
    assert shown["passed"] is True
    assert len(shown["checks"]) >= 12
    assert all(bot["transactions"] > 0 for bot in shown["bots"])


def test_the_demonstration_for_people() -> None:
    shown = run("demo", "--seconds", "1", "--protocol", "v5", "--no-status")
    assert shown.code == 0, shown.err
    assert "all checks passed" in shown.out
    assert "status of" not in shown.out


async def test_it_serves_a_status_page_and_prints_the_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed: list[str] = []
    monkeypatch.setattr("cryptoproto.cli.demo.console.print", lambda *lines, **_: printed.extend(map(str, lines)))
    running = asyncio.ensure_future(_Demo(3, 1, "v5", "auto", quiet=True, status=True).main())
    while not printed:  # noqa: ASYNC110 - the demonstration has no event for it
        await asyncio.sleep(0)
    url = printed[0].removeprefix("status of maker-1: ")
    async with httpx.AsyncClient(trust_env=False) as http:
        status = (await http.get(url.replace("/?", "/status.json?"))).json()
    assert (status["client_id"], status["state"]) == ("maker-1", "live")
    assert await running == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []
    monkeypatch.setattr("cryptoproto.cli.demo.console.print", lambda *lines, **_: printed.extend(map(str, lines)))
    monkeypatch.delitem(sys.modules, "cryptoproto.status", raising=False)
    monkeypatch.delitem(sys.modules, "cryptoproto.status.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert await _Demo(1, 1, "v5", "auto", quiet=True, status=True).main() == 0
    assert printed == [r"no status page: cryptoproto.status needs uvicorn: pip install 'cryptoproto\[status]'"]


@pytest.mark.parametrize("seconds", ["0", "-1", "0.01", "nan", "inf"])
def test_a_time_that_is_too_short_or_not_a_time_is_a_usage_error(seconds: str) -> None:
    result = run("demo", "--seconds", seconds)
    assert result.code == 2
    assert "--seconds" in result.err
    assert "Traceback" not in result.err


async def test_a_bot_that_fails_fails_the_demonstration(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise cp.StoreError("the bot failed")

    monkeypatch.setattr(Taker, "run", fail)
    with pytest.raises(cp.StoreError, match="the bot failed"):
        await _Demo(1, 1, "v5", "auto", quiet=True).main()


async def test_bots_that_do_not_settle_fail_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def never(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Taker, "stop_trading", never)
    monkeypatch.setattr("cryptoproto.cli.demo._PATIENCE_S", 0.01)
    assert await _Demo(0.5, 1, "both", "auto", quiet=True).main() == 1
    checks = {check["check"]: check["passed"] for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["the bots received everything in time"] is False


def test_latencies_before_the_first_are_a_dash() -> None:
    assert _shown([], 50) == "–"
    assert _milliseconds([]) is None
    assert (_shown([0.001], 99), _milliseconds([0.001])) == ("1.00", 1.0)


def test_latencies_have_three_digits() -> None:
    assert (_shown([0.0234567], 50), _shown([0.000468], 50)) == ("23.5", "0.47")
