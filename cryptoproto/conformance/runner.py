"""Runs one script against a peer, step by step, and writes down what was sent and received."""

from __future__ import annotations

import asyncio
import enum
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from ..exceptions import ConfigurationError, CryptoprotoError
from ..wire import Protocol
from .ends import End
from .matching import match
from .peers import ClientUnderTest, ExchangeUnderTest
from .playing_client import PlayingClient
from .playing_exchange import PlayingExchange
from .script import Script, Step
from .seen import Seen
from .stage import RunOptions, Skipped, Stage

__all__ = ["Outcome", "Result", "run_script"]

_PASSED_OVER: Final = ("event", "broadcast", "market", "throttling")
"""What ``<<`` passes over until the frame comes that it waits for."""
_ENDS: Final = ("failed", "ended")
"""Reports that come in any order."""
_PING_S: Final = 6.0


class Outcome(enum.Enum):
    """How a script ended."""

    PASSED = "passed"
    NOT_STRICT = "not strict"
    """The peer did something that is allowed, but not what the documents ask for."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """The peer cannot do what the script needs; the reason says what."""


class Result(msgspec.Struct, frozen=True):
    """The result of one script in one form of the protocol.

    Attributes:
        script: what was run.
        protocol: the form.
        outcome: how it ended.
        reason: why it did not pass: what was expected, and what came.
        line: of the step that failed; 0 if none did.
        transcript: what was sent and received.
        seconds: how long it took.
    """

    script: Script
    protocol: Protocol
    outcome: Outcome
    reason: str
    line: int
    transcript: tuple[str, ...]
    seconds: float


class _Unexpected(Exception):
    """The peer did something else than the step expects."""


async def run_script(
    script: Script,
    protocol: Protocol,
    peer: ClientUnderTest | ExchangeUnderTest,
    *,
    timeout: float = 5.0,
    first_fresh: int = 0,
    on_seen: Callable[[Seen], Seen] = lambda seen: seen,
) -> Result:
    """Run *script* against *peer*.

    Args:
        script: what to do.
        protocol: the form of the frames.
        peer: the peer under test.
        timeout: seconds to wait for each thing that the script expects.
        first_fresh: the number that ``@0`` stands for; each run needs 100 numbers that were not used before.
        on_seen: called with everything that is received; what it returns is compared.
    """
    options = RunOptions(protocol, timeout, first_fresh, on_seen)
    stage: Stage[Any] = (
        PlayingExchange(peer, options) if isinstance(peer, ClientUnderTest) else PlayingClient(peer, options)
    )
    run = _Run(script, stage)
    loop = asyncio.get_running_loop()
    started = loop.time()
    outcome, reason = await run.to_the_end()
    seconds = loop.time() - started
    line = run.line if outcome is Outcome.FAILED else 0
    return Result(script, protocol, outcome, reason, line, tuple(stage.transcript), seconds)


class _Run:
    """One run.

    Attributes:
        line: of the step that is taken.
    """

    def __init__(self, script: Script, stage: Stage[Any]) -> None:
        self.line = 0
        self._script = script
        self._stage = stage
        self._tolerated: list[str] = []
        self._set_aside: list[Seen] = []  # the reports of an end that came before the step for them

    async def to_the_end(self) -> tuple[Outcome, str]:
        """Take all steps; the outcome, and why it is not PASSED."""
        stage = self._stage
        try:
            for step in self._script.steps:
                self.line = step.line
                stage.note(f"{step.line:>4}  {step.text}")
                await self._take(step)
        except Skipped as skipped:
            return Outcome.SKIPPED, str(skipped)
        except (_Unexpected, CryptoprotoError, OSError) as error:
            reason = str(error)
            stage.note(f"      {reason}")
            return (Outcome.FAILED if self._script.strict else Outcome.NOT_STRICT), reason
        finally:
            await stage.finish()
        if self._tolerated:
            return Outcome.NOT_STRICT, "; ".join(self._tolerated)
        return Outcome.PASSED, ""

    async def _take(self, step: Step) -> None:
        if step.verb in ("expect", "await"):
            await self._expect(step, self._stage.end(step))
        elif step.verb == "report":
            await self._report(step)
        elif step.verb == "wait":
            await asyncio.sleep(float(self._stage.bindings.resolve(step.arguments[0])))
        elif step.verb == "cut":
            self._stage.end(step).transport.abort()
        elif step.verb == "close":
            self._stage.end(step).close(self._stage.bindings.resolve(step.arguments[0]))
        elif step.verb == "stop reading":
            self._stage.end(step).transport.pause_reading()
        elif step.verb == "read":
            self._stage.end(step).transport.resume_reading()
        else:
            for each in await self._act(step):
                await self._take(each)

    async def _act(self, step: Step) -> Sequence[Step]:
        """Send, open a connection, or have an action taken; returns the steps to take afterwards.

        Raises:
            ConfigurationError: a value of the script cannot be used.
        """
        stage = self._stage
        try:
            if step.verb == "do":
                return await stage.do(step)
            if step.verb != "send":
                return await stage.open(step)
            times = step.settings.get("times")
            for _ in range(1 if times is None else int(stage.bindings.resolve(times))):
                stage.send(step)
        except CryptoprotoError:
            raise
        except (TypeError, ValueError, OverflowError, struct.error) as error:
            raise ConfigurationError(f"{step.text}: a value cannot be used: {error}") from None
        return ()

    async def _expect(self, step: Step, end: End) -> None:
        timeout = self._stage.timeout
        if step.kind == "nothing":
            await self._nothing(step, end.next)
        elif step.kind == "ping":
            if not await end.sign_of_life(max(timeout, _PING_S)):
                raise _Unexpected(f"expected: {step.text}\ngot: no ping within {max(timeout, _PING_S):g} s")
        else:
            await self._next(step, end.next)

    async def _report(self, step: Step) -> None:
        if step.kind == "nothing":
            await self._nothing(step, self._stage.report)
            return

        async def next_report(timeout: float) -> Seen | None:
            """The next report. A connection and the calls on it end in any order."""
            for seen in self._set_aside:
                if seen.kind == step.kind:
                    self._set_aside.remove(seen)
                    return seen
            while (report := await self._stage.report(timeout)) is not None:
                if report.kind == step.kind or {report.kind, step.kind} != set(_ENDS):
                    break
                self._set_aside.append(report)
            return report

        await self._next(step, next_report)

    async def _nothing(self, step: Step, next_seen: Any) -> None:
        seconds = float(self._stage.bindings.resolve(step.arguments[0])) if step.arguments else 1.0
        seen = await next_seen(seconds)
        if seen is not None:
            raise _Unexpected(f"expected: nothing for {seconds:g} s\ngot: {seen}")

    async def _next(self, step: Step, next_seen: Any) -> None:
        stage = self._stage
        passed_over: list[str] = []
        while True:
            seen = await next_seen(stage.timeout)
            if seen is None:
                got = f"nothing within {stage.timeout:g} s"
                raise _Unexpected(f"expected: {step.text}\ngot: {got}{_after(passed_over)}")
            found = match(step, seen, stage.bindings)
            if not found.difference:
                stage.bindings = found.bindings
                if found.tolerated:
                    self._tolerated.append(f"line {step.line}: expected: {step.text}; got: {seen}")
                return
            if step.verb != "await" or seen.kind not in _PASSED_OVER:
                raise _Unexpected(f"expected: {step.text}\ngot: {seen}\n({found.difference}){_after(passed_over)}")
            passed_over.append(str(seen))


def _after(passed_over: list[str]) -> str:
    return f"\nafter: {'; '.join(passed_over[-5:])}" if passed_over else ""
