"""Control programs: actions, answers and reports as JSON lines."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.conformance import NoControl, StreamControl, run_command
from cryptoproto.conformance.control import read_report, standard_input

pytestmark = pytest.mark.usefixtures("clean_loop")


class Program:
    """A control program in this process."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.lines: list[bytes] = []
        self.control = StreamControl(self.reader, self.lines.append)

    def say(self, line: str) -> None:
        self.reader.feed_data(f"{line}\n".encode())


async def test_actions_are_answered() -> None:
    program = Program()
    program.say('{"ok": true}')
    assert await program.control.do({"do": "connect", "resume": 5}) is None
    assert program.lines == [b'{"do":"connect","resume":5}\n']
    program.say('{"unsupported": "no such feature"}')
    assert await program.control.do({"do": "restart"}) == "no such feature"
    program.say('{"error": "no network"}')
    with pytest.raises(cp.ConfigurationError, match="cannot connect: no network"):
        await program.control.do({"do": "connect"})
    await program.control.close()


async def test_reports_come_in_between() -> None:
    program = Program()
    program.say('{"report": "event", "transaction": 5, "message": {"@type": "OrderNotFound", "order_id": 7}}')
    program.say('{"ok": true}')
    assert await program.control.do({"do": "send"}) is None
    assert str(await program.control.report(1)) == "event OrderNotFound order_id=7 [transaction 5]"
    assert await program.control.report(0) is None
    program.say('{"report": "ended"}')
    program.say('{"ok": true}')
    await program.control.do({"do": "reset"})
    program.control.forget_reports()
    assert await program.control.report(0) is None
    await program.control.close()


@pytest.mark.parametrize("line", ["not JSON", "[1]", None])
async def test_a_program_that_ends_or_writes_something_else(line: str | None) -> None:
    program = Program()
    if line is None:
        program.reader.feed_eof()
    else:
        program.say(line)
    for _ in range(2):
        with pytest.raises(cp.ConfigurationError, match="ended, or wrote a line that is not a JSON object"):
            await program.control.do({"do": "connect"})
    await program.control.close()


async def test_a_program_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.conformance.control._ANSWER_S", 0.0)
    program = Program()
    with pytest.raises(cp.ConfigurationError, match="did not answer connect"):
        await program.control.do({"do": "connect"})
    await program.control.close()


async def test_an_answer_that_comes_too_late_is_not_that_to_the_next_action(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.conformance.control._ANSWER_S", 0.0)
    program = Program()
    for _ in range(2):
        with pytest.raises(cp.ConfigurationError, match="did not answer connect"):
            await program.control.do({"do": "connect"})
    monkeypatch.setattr("cryptoproto.conformance.control._ANSWER_S", 30.0)
    for line in ('{"ok": true}', '{"error": "late"}', '{"unsupported": "no such feature"}'):
        program.say(line)
    assert await program.control.do({"do": "reset"}) == "no such feature"
    await program.control.close()


async def test_a_program_whose_pipe_is_gone() -> None:
    def gone(line: bytes) -> None:
        raise BrokenPipeError("gone")

    control = StreamControl(asyncio.StreamReader(), gone)
    with pytest.raises(cp.ConfigurationError, match="the control program ended: gone"):
        await control.do({"do": "connect"})
    await control.close()


async def test_nobody_in_control() -> None:
    control = NoControl()
    assert await control.do({"do": "reset"}) is None
    assert "pass --control" in str(await control.do({"do": "restart"}))
    assert await control.report(1) is None
    control.forget_reports()


async def test_a_real_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nfor line in sys.stdin:\n    print('{\"ok\": true}', flush=True)\n")
    async with run_command(f"{sys.executable} {program}") as control:
        assert await control.do({"do": "restart"}) is None


async def test_a_program_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.conformance.control._EXIT_S", 0.0)
    program = tmp_path / "program.py"
    program.write_text("import time\nprint('{\"ok\": true}', flush=True)\ntime.sleep(600)\n")
    async with run_command(f"{sys.executable} {program}") as control:
        assert await control.do({"do": "restart"}) is None


@pytest.mark.parametrize("command", ["", '"open', "/no/such/program"])
async def test_a_command_that_cannot_be_started(command: str) -> None:
    with pytest.raises(cp.ConfigurationError, match="cannot be started"):
        async with run_command(command):
            pass


async def test_standard_input_has_to_be_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "actions"
    path.write_text("{}")
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(cp.ConfigurationError, match="over a pipe or a terminal"):
            await standard_input()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"report": "ended", "reason": "closed", "code": 4000}, "ended reason=closed code=4000"),
        ({"report": "response", "tag": "a", "message": {"@type": "X", "n": 1}}, "response X n=1 [tag a]"),
        ({"report": "failed", "tag": None, "reason": "timeout"}, "failed reason=timeout"),
    ],
)
def test_reports_as_a_script_sees_them(value: dict[str, Any], shown: str) -> None:
    assert str(read_report(value)) == shown
