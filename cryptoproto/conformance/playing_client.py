"""Scripts in which the exchange is under test: the runner plays its clients and readers of market data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..exceptions import ConfigurationError
from ..transport import OpenOptions
from ..wire import ClientFrameType, Protocol
from .client_end import ClientEnd
from .ends import End, MarketEnd
from .matching import payload, settings
from .peers import ExchangeUnderTest
from .script import Step
from .stage import RunOptions, Skipped, Stage

__all__ = ["PlayingClient"]

_SYNC: Final = 2**62
"""The id of the request that ends ``connect``; scripts count from 1."""
_DEFAULT_CLIENT: Final = "alice"


class PlayingClient(Stage[End]):
    """See the module.

    Args:
        peer: the exchange.
        options: how the script is run.
    """

    def __init__(self, peer: ExchangeUnderTest, options: RunOptions) -> None:
        super().__init__(peer.control, options)
        self._peer = peer
        self._was_operated = False

    def end(self, step: Step) -> End:
        """See :class:`Stage`: the first connection if none is named."""
        return self.named(step.end or next(iter(self.ends), ""))

    async def open(self, step: Step) -> Sequence[Step]:
        """See :class:`Stage`."""
        name = step.end or _DEFAULT_CLIENT
        if step.verb == "watch":
            await self._watch(name)
            return ()
        client_id = str(self.bindings.resolve(step.fields["client"])) if "client" in step.fields else name
        form = str(self.bindings.resolve(step.fields["protocol"])) if "protocol" in step.fields else self.protocol.value
        end = await self._open_client(name, client_id, Protocol(form))
        if step.verb == "open":
            return ()
        resume = self.bindings.resolve(step.fields["resume"]) if "resume" in step.fields else -1
        end.send_hello({"resume": resume}, {})
        await self._shake_hands(end, step)
        if resume == -1:
            await self._synchronise(end, step)
        return ()

    async def _watch(self, name: str) -> None:
        if not self._peer.market_data_url:
            raise Skipped("the address of market data is not known; pass --market-data-url")
        reader = MarketEnd()
        self.add(name, reader)
        await self._peer.opener(self._peer.market_data_url, reader, OpenOptions(max_message_bytes=2**24))

    async def _open_client(self, name: str, client_id: str, protocol: Protocol) -> ClientEnd:
        if client_id not in self._peer.clients:
            raise Skipped(f"there is no key of client {client_id}; pass --client {client_id}=FILE")
        key = self._peer.clients[client_id]
        end = ClientEnd(client_id, key, self._peer.server_key, protocol)
        self.add(name, end)
        await self._peer.opener(self._peer.url, end, OpenOptions(max_message_bytes=2**24))
        return end

    async def _shake_hands(self, end: ClientEnd, step: Step) -> None:
        seen = await end.next(self.timeout)
        if seen is None or seen.kind != "hello":
            raise ConfigurationError(f"{step.text}: expected the hello of the exchange, got {seen or 'nothing'}")
        end.send_proof({})

    async def _synchronise(self, end: ClientEnd, step: Step) -> None:
        """Wait until the exchange has accepted the proof: what happens from here on reaches this connection."""
        before = end.next_request
        end.send_frame(ClientFrameType.RPC_REQUEST, b'{"@type":"UserBalanceRequest"}', {"request": _SYNC})
        end.next_request = before
        seen = await end.next(self.timeout)
        if seen is None or seen.kind != "response" or seen.numbers.get("request") != _SYNC:
            raise ConfigurationError(f"{step.text}: expected the response to a first request, got {seen or 'nothing'}")

    def send_frame(self, step: Step, end: End) -> None:
        """See :class:`Stage`."""
        if not isinstance(end, ClientEnd):
            raise ConfigurationError(f"{step.text}: readers of market data send nothing but raw and text")
        self.bindings.bind("next", end.next_sequence)
        chosen = settings(step, self.bindings)
        if step.kind == "hello":
            fields = {name: self.bindings.resolve(value) for name, value in step.fields.items()}
            end.send_hello(fields, chosen)
        elif step.kind == "proof":
            end.send_proof(chosen)
        else:
            kind = ClientFrameType.MESSAGE if step.kind == "message" else ClientFrameType.RPC_REQUEST
            end.send_frame(kind, payload(step, self.bindings), chosen)

    async def do(self, step: Step) -> Sequence[Step]:
        """See :class:`Stage`."""
        self._was_operated = True
        return await super().do(step)

    def action(self, step: Step) -> dict[str, Any]:
        """See :class:`Stage`."""
        return {"do": step.kind, **{name: _plain(self.bindings.resolve(value)) for name, value in step.fields.items()}}

    async def finish(self) -> None:
        """See :class:`Stage`. Orders that are left open are cancelled: the next script meets the same exchange."""
        clients = {end.client_id for end in self.ends.values() if isinstance(end, ClientEnd)}
        await super().finish()
        if self._was_operated:
            await self._control.do({"do": "reset"})
        if self._peer.cleans:
            for client_id in clients:
                await self._cancel_all(client_id)

    async def _cancel_all(self, client_id: str) -> None:
        """Cancel what is left open. An exchange that is too broken for it fails the next script, not this one."""
        end = ClientEnd(client_id, self._peer.clients[client_id], self._peer.server_key, self.protocol)
        try:
            await self._peer.opener(self._peer.url, end, OpenOptions(max_message_bytes=2**24))
        except (OSError, ConfigurationError) as error:
            self.note(f"      cleaning up failed: {error}")
            return
        end.send_hello({"resume": -1}, {})
        hello = await end.next(self.timeout)
        if hello is not None and hello.kind == "hello":
            end.send_proof({})
            end.send_frame(ClientFrameType.MESSAGE, b'{"@type":"CancelAllOrders"}', {})
            end.send_frame(ClientFrameType.RPC_REQUEST, b'{"@type":"UserOrdersRequest"}', {})
            while (seen := await end.next(self.timeout)) is not None and seen.kind == "event":
                pass
        await end.finish()


def _plain(value: Any) -> Any:
    """A value as the control program gets it: decimals as text."""
    return value if isinstance(value, bool | int | str | list | dict) or value is None else str(value)
