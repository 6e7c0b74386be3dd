"""What both kinds of scripts share while they run: connections, variables, and the transcript."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from ..exceptions import ConfigurationError
from ..wire import Protocol
from .control import Control
from .ends import End
from .matching import raw_bytes
from .script import Step
from .seen import Seen, sketch
from .values import Bindings

__all__ = ["RunOptions", "Skipped", "Stage"]

_EndT = TypeVar("_EndT", bound=End)

_LONGEST_TRANSCRIPT: Final = 2_000


class Skipped(Exception):
    """The script cannot be run against this peer."""


class RunOptions(msgspec.Struct, frozen=True):
    """How a script is run.

    Attributes:
        protocol: the form of the frames.
        timeout: seconds to wait for each thing that the script expects.
        first_fresh: the number that ``@0`` stands for.
        on_seen: called with everything that is received; what it returns is compared.
    """

    protocol: Protocol
    timeout: float
    first_fresh: int
    on_seen: Callable[[Seen], Seen]


class Stage(ABC, Generic[_EndT]):
    """The state of a script that runs.

    Args:
        control: takes actions.
        options: how the script is run.

    Attributes:
        bindings: the variables; the runner replaces them after each match.
        transcript: what was done, sent and received.
        ends: the connections by name.
    """

    def __init__(self, control: Control, options: RunOptions) -> None:
        self.bindings: Bindings = Bindings(options.first_fresh)
        self.protocol: Protocol = options.protocol
        self.timeout: float = options.timeout
        self.transcript: list[str] = []
        self.ends: dict[str, _EndT] = {}
        self._control = control
        self._on_seen = options.on_seen
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()

    def note(self, text: str) -> None:
        """Add a line to the transcript."""
        if len(self.transcript) < _LONGEST_TRANSCRIPT:
            self.transcript.append(sketch(text))

    def add(self, name: str, end: _EndT) -> None:
        """A connection under its name; what it receives goes to the transcript."""

        def on_seen(seen: Seen) -> Seen:
            changed = self._on_seen(seen)
            self.note(f"      {self._loop.time() - self._started:8.3f} s  {name} < {changed}")
            return changed

        end.on_seen = on_seen
        self.ends[name] = end

    @abstractmethod
    def end(self, step: Step) -> _EndT:
        """The connection that *step* is about."""

    def named(self, name: str) -> _EndT:
        """The connection of a name.

        Raises:
            ConfigurationError: there is none.
        """
        if name not in self.ends:
            raise ConfigurationError(f"there is no connection {name or 'yet'}")
        return self.ends[name]

    def send(self, step: Step) -> None:
        """Send what *step* says."""
        end = self.end(step)
        if step.kind == "raw":
            end.transport.send(raw_bytes(step, self.bindings))
        elif step.kind == "text":
            end.transport.send_text(str(self.bindings.resolve(step.arguments[0])))
        else:
            self.send_frame(step, end)

    @abstractmethod
    def send_frame(self, step: Step, end: _EndT) -> None:
        """Send the frame of *step* over *end*."""

    @abstractmethod
    async def open(self, step: Step) -> Sequence[Step]:
        """Open a connection, or wait for one; returns the steps to take afterwards."""

    async def do(self, step: Step) -> Sequence[Step]:
        """Have the peer under test, or its operator, take an action.

        Raises:
            Skipped: it cannot.
        """
        await self.control(self.action(step))
        return ()

    async def control(self, action: Mapping[str, Any]) -> None:
        """Take an action.

        Raises:
            Skipped: the peer cannot.
        """
        reason = await self._control.do(action)
        if reason is not None:
            raise Skipped(reason)

    @abstractmethod
    def action(self, step: Step) -> dict[str, Any]:
        """The action of *step*, as the control program gets it."""

    async def report(self, timeout: float) -> Seen | None:
        """The next report of the client under test."""
        seen = await self._control.report(timeout)
        if seen is None:
            return None
        changed = self._on_seen(seen)
        self.note(f"      {self._loop.time() - self._started:8.3f} s  reported: {changed}")
        return changed

    async def finish(self) -> None:
        """End all connections; the peer is as before the script."""
        for end in self.ends.values():
            await end.finish()
        self._control.forget_reports()
