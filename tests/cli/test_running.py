"""How commands end: by themselves, by a signal, and what is said if an outcome is not known then."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import pytest
import typer

import cryptoproto as cp
from cryptoproto.cli.running import reported_if_stopped, run


def test_sigterm_cancels_the_command() -> None:
    ended: list[str] = []

    async def main() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")
        return 0

    with pytest.raises(typer.Exit) as end:
        run(main())
    assert end.value.exit_code == 143
    assert ended == ["cleaned up"]


def test_other_errors_that_nothing_awaits_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def command() -> int:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        return 0

    with pytest.raises(typer.Exit):
        run(command())
    assert "ZeroDivisionError" in caplog.text


async def forever() -> int:
    await asyncio.Event().wait()
    return 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_stopped_says_what_is_not_known(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def command() -> int:
        with reported_if_stopped("the order was sent", "look for it"):
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
            return await forever()

    for arguments in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["cryptoproto", *arguments])
        with pytest.raises(typer.Exit) as end:
            run(command())
        assert end.value.exit_code == code
    said, line = capsys.readouterr().err.splitlines()
    message = "the order was sent, but the command was stopped before its answer came; look for it"
    assert said == f"error: {message}"
    assert json.loads(line) == {"error": "OutcomeUnknown", "message": message, "exit_code": code}


def test_an_outcome_that_is_unknown_for_another_reason_is_raised() -> None:
    async def command() -> int:
        with reported_if_stopped("the order was sent", "look for it"):
            raise cp.OutcomeUnknown("no answer came")

    with pytest.raises(cp.OutcomeUnknown, match="no answer came"):
        run(command())
