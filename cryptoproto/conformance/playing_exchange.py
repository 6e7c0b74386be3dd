"""Scripts in which a client is under test: the runner plays the exchange that it connects to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ..exceptions import ConfigurationError
from .exchange_end import ExchangeEnd
from .matching import message, payload, settings
from .peers import ClientUnderTest
from .script import Step
from .stage import RunOptions, Stage

__all__ = ["PlayingExchange"]


class PlayingExchange(Stage[ExchangeEnd]):
    """See the module.

    Args:
        peer: the client.
        options: how the script is run.
    """

    def __init__(self, peer: ClientUnderTest, options: RunOptions) -> None:
        super().__init__(peer.control, options)
        self._peer = peer
        self._arrived: asyncio.Queue[ExchangeEnd] = asyncio.Queue()
        peer.arrivals.make_end = self._make_end

    def _make_end(self) -> ExchangeEnd:
        end = ExchangeEnd(self._peer.exchange_key, self._peer.client_key, self.protocol)
        self.add(f"link{len(self.ends) + 1}", end)
        self._arrived.put_nowait(end)
        return end

    def end(self, step: Step) -> ExchangeEnd:
        """See :class:`Stage`: the newest connection if none is named."""
        return self.named(step.end or next(reversed(self.ends), ""))

    async def open(self, step: Step) -> Sequence[Step]:
        """See :class:`Stage`: wait for the client; ``accept`` is short for the handshake."""
        try:
            async with asyncio.timeout(self.timeout):
                await self._arrived.get()
        except TimeoutError:
            text = f"expected: a connection of the client\ngot: none within {self.timeout:g} s"
            raise ConfigurationError(text) from None
        if step.verb == "open":
            return ()
        hello = {name: value for name, value in step.fields.items() if name == "resume"}
        answer = {name: value for name, value in step.fields.items() if name == "last_sequence"}
        line, text = step.line, step.text
        return (
            Step(line, f"{text} (< hello)", "expect", kind="hello", fields=hello),
            Step(line, f"{text} (> hello)", "send", kind="hello", fields=answer),
            Step(line, f"{text} (< proof)", "expect", kind="proof"),
            Step(line, f"{text} (report connected)", "report", kind="connected"),
        )

    def send_frame(self, step: Step, end: ExchangeEnd) -> None:
        """See :class:`Stage`."""
        chosen = settings(step, self.bindings)
        fields = {name: self.bindings.resolve(value) for name, value in step.fields.items()}
        if step.kind == "hello":
            end.send_hello(fields, chosen)
        elif step.kind == "error":
            error_type, text = (*(self.bindings.resolve(each) for each in step.arguments), "")[:2]
            end.send_error(error_type, str(text), chosen)
        elif step.kind == "throttling":
            end.send_throttling(fields, chosen)
        elif step.kind == "event":
            end.send_event(payload(step, self.bindings), chosen)
        elif step.kind == "response":
            end.send_response(payload(step, self.bindings), chosen)
        else:
            end.send_broadcast(payload(step, self.bindings), chosen)

    def action(self, step: Step) -> dict[str, Any]:
        """See :class:`Stage`."""
        action: dict[str, Any] = {"do": step.kind, **settings(step, self.bindings)}
        if step.kind == "connect":
            action |= self._peer.connect
            action |= {"client_id": self._peer.client_id, "protocol": self.protocol.value, "resume": 0}
            action |= {name: self.bindings.resolve(value) for name, value in step.fields.items()}
        elif step.name:
            action["message"] = message(step, self.bindings)
        return action

    async def finish(self) -> None:
        """See :class:`Stage`."""
        self._peer.arrivals.make_end = None
        await self._control.do({"do": "reset"})
        await super().finish()
