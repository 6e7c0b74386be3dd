"""How a peer under test, or its operator, takes the actions of a script: JSON lines to and from a program."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import msgspec

from ..exceptions import ConfigurationError
from .seen import Seen, sketch

__all__ = ["Control", "NoControl", "StreamControl", "read_report", "run_command", "standard_input"]

_LONGEST_LINE: Final = 2**20
_MOST_REPORTS: Final = 10_000
_ANSWER_S: Final = 30.0
_EXIT_S: Final = 5.0


class Control(Protocol):
    """Takes actions, and passes on what a client reports."""

    async def do(self, action: Mapping[str, Any]) -> str | None:
        """Take an action; ``None``, or why this peer cannot take it: then the script is skipped.

        Raises:
            ConfigurationError: the action failed.
        """

    async def report(self, timeout: float) -> Seen | None:
        """The next report of the client; ``None`` if none came within *timeout* seconds."""

    def forget_reports(self) -> None:
        """Drop the reports that no step has looked at."""


class NoControl:
    """An exchange that is tested as it is: scripts that need an operator are skipped."""

    async def do(self, action: Mapping[str, Any]) -> str | None:
        """See :class:`Control`."""
        return None if action["do"] == "reset" else f"nobody can {action['do']} this peer; pass --control"

    async def report(self, timeout: float) -> Seen | None:
        """See :class:`Control`."""
        return None

    def forget_reports(self) -> None:
        """See :class:`Control`."""


class StreamControl:
    """A program that takes actions: one JSON object a line in, and answers and reports out.

    Args:
        reader: what the program writes.
        write: called with each line for the program.
    """

    def __init__(self, reader: asyncio.StreamReader, write: Callable[[bytes], None]) -> None:
        self._reader = reader
        self._write = write
        self._answers: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._unanswered = 0
        self._reports: asyncio.Queue[Seen] = asyncio.Queue(_MOST_REPORTS)
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def do(self, action: Mapping[str, Any]) -> str | None:
        """See :class:`Control`."""
        try:
            self._write(msgspec.json.encode(dict(action)) + b"\n")
            self._unanswered += 1
            async with asyncio.timeout(_ANSWER_S):
                answer = await self._answer()
        except TimeoutError:
            raise ConfigurationError(f"the control program did not answer {action['do']} in {_ANSWER_S:g} s") from None
        except ConnectionError as error:
            raise ConfigurationError(f"the control program ended: {error}") from None
        if answer is None:
            self._answers.put_nowait(None)
            raise ConfigurationError("the control program ended, or wrote a line that is not a JSON object")
        if answer.get("ok") is True:
            return None
        if "unsupported" in answer:
            return sketch(str(answer["unsupported"]))
        raise ConfigurationError(
            f"the control program cannot {action['do']}: {sketch(str(answer.get('error', answer)))}"
        )

    async def _answer(self) -> dict[str, Any] | None:
        """The answer to the newest action. Those before it come first, if they were given up after a timeout."""
        while True:
            answer = await self._answers.get()
            self._unanswered -= 1
            if answer is None or not self._unanswered:
                return answer

    async def report(self, timeout: float) -> Seen | None:
        """See :class:`Control`."""
        try:
            async with asyncio.timeout(timeout):
                return await self._reports.get()
        except TimeoutError:
            return None

    def forget_reports(self) -> None:
        """See :class:`Control`."""
        while not self._reports.empty():
            self._reports.get_nowait()

    async def _read(self) -> None:
        with contextlib.suppress(ValueError, ConnectionError):  # a line that is too long, or no JSON
            while line := await self._reader.readline():
                value = msgspec.json.decode(line)
                if isinstance(value, dict) and "report" in value:
                    await self._reports.put(read_report(value))
                elif isinstance(value, dict):
                    await self._answers.put(value)
                else:
                    break
        await self._answers.put(None)

    async def close(self) -> None:
        """Read no more."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading


def read_report(value: Mapping[str, Any]) -> Seen:
    """A report of a client, as the runner compares it."""
    message = value.get("message")
    fields = {name: each for name, each in value.items() if name not in ("report", "message", "transaction", "tag")}
    name = ""
    if isinstance(message, dict):
        fields |= {key: each for key, each in message.items() if key != "@type"}
        name = str(message.get("@type", ""))
    numbers = {key: value[key] for key in ("transaction", "tag") if value.get(key) is not None}
    return Seen(str(value["report"]), name, fields, numbers=numbers)


@asynccontextmanager
async def run_command(command: str) -> AsyncIterator[StreamControl]:
    """Start *command* as the control program, and end it afterwards.

    Raises:
        ConfigurationError: it cannot be started.
    """
    pipe = asyncio.subprocess.PIPE
    try:
        words = shlex.split(command)
        process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE)
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise ConfigurationError(f"--control {command}: cannot be started: {error}") from None
    if process.stdin is None or process.stdout is None:  # pragma: no cover - they are pipes, as asked for
        raise RuntimeError("the pipes that were asked for are not there")
    control = StreamControl(process.stdout, process.stdin.write)
    try:
        yield control
    finally:
        process.stdin.close()  # there are no more actions
        await control.close()
        try:
            async with asyncio.timeout(_EXIT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def standard_input() -> asyncio.StreamReader:
    """The lines of standard input.

    Raises:
        ConfigurationError: it is a file, not a pipe or a terminal.
    """
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    protocol = asyncio.StreamReaderProtocol(reader)
    try:
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    except ValueError as error:
        raise ConfigurationError(f"actions and reports come over a pipe or a terminal: {error}") from None
    return reader
