"""The venue: engine and ledger together. Clients' messages go in; their events are in their histories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from ..exceptions import ConfigurationError, DecodeError
from ..keys import PublicKey
from ..messages import (
    AmountLike,
    Message,
    UserBalanceRequest,
    decode_client_message,
    decode_request,
)
from ..wire import ErrorType
from .commands import Broadcast, Command, Expire, Observe, Observed, Output, Private, Public, Refused, Register, Submit
from .engine import Engine
from .ledger import ClientRecord, Ledger

__all__ = ["Venue"]


class Venue:
    """A market without sockets.

    Args:
        engine: matches orders.
        ledger: keeps clients and histories.
        clock: unix time in nanoseconds.
        on_private: called for each client with new events in its history.
        on_public: called for each public message; the flag is true for a broadcast.
    """

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        clock: Callable[[], int],
        *,
        on_private: Callable[[ClientRecord], None],
        on_public: Callable[[Message, bool], None],
    ) -> None:
        self.engine = engine
        self.ledger = ledger
        self._clock = clock
        self._on_private = on_private
        self._on_public = on_public

    def now_us(self) -> int:
        """Unix time in microseconds."""
        return self._clock() // 1000

    def client(self, client_id: str) -> ClientRecord | None:
        """The record of a client, ``None`` if it is not registered."""
        return self.ledger.client(client_id)

    def register(self, client_id: str, public_key: PublicKey, balances: Mapping[str, AmountLike]) -> None:
        """Open an account; see :meth:`Exchange.register`."""
        known = self.ledger.client(client_id)
        if known is not None:
            if known.public_key != public_key:
                raise ConfigurationError(
                    f"client {client_id!r} is registered with another key, {known.public_key.fingerprint}"
                )
            return
        command = _storable(Register(client_id, dict(balances), self.now_us()))
        outputs = self.engine.apply(command)
        refused = any(isinstance(output, Refused) for output in outputs)  # then nobody is registered
        self._settle(command, outputs, client_id=client_id, public_key=None if refused else public_key)
        self._raise_refusal(outputs)

    def submit(self, client_id: str, sequence: int, payload: bytes) -> Refused | None:
        """Handle a client's message; its sequence counts as seen even if it is refused."""
        try:
            command = Submit(client_id, decode_client_message(payload), self.now_us())
        except DecodeError as error:
            self.ledger.append(None, (), client_id=client_id, sequence=sequence)
            return Refused(client_id, ErrorType.INVALID_PAYLOAD, str(error))
        outputs = self.engine.apply(command)
        self._settle(command, outputs, client_id=client_id, sequence=sequence)
        last = outputs[-1] if outputs else None
        return last if isinstance(last, Refused) else None

    def request(self, client_id: str, payload: bytes) -> Message:
        """The response to an RPC request.

        Raises:
            DecodeError: the request is unknown or malformed.
        """
        if isinstance(decode_request(payload), UserBalanceRequest):
            return self.engine.balances(client_id)
        return self.engine.open_orders(client_id)

    def operate(self, command: Command) -> None:
        """Carry out a command of the operator.

        Raises:
            ConfigurationError: it was refused; nothing has changed.
        """
        outputs = self.engine.apply(_storable(command))
        self._settle(command, outputs)
        self._raise_refusal(outputs)

    def observe(self, update: Observed) -> None:
        """Something happened on the recorded market; ``None``: it was lost."""
        outputs = self.engine.apply(Observe(update, self.now_us()))
        if outputs:
            self.ledger.append(Expire(self.now_us()), outputs)
            self.ledger.when_durable(self._publish, outputs)

    @staticmethod
    def _raise_refusal(outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Refused):
                raise ConfigurationError(output.text)

    def _settle(
        self,
        command: Command,
        outputs: list[Output],
        *,
        client_id: str = "",
        sequence: int | None = None,
        public_key: PublicKey | None = None,
    ) -> None:
        """Record the outputs first, then publish them."""
        if outputs and isinstance(outputs[-1], Refused):
            command = Expire(command.time_us)  # it only moved the time; the message may be of any size
        self.ledger.append(command, outputs, client_id=client_id, sequence=sequence, public_key=public_key)
        if outputs:
            self.ledger.when_durable(self._publish, outputs)

    def _publish(self, outputs: list[Output]) -> None:
        # A dict: clients are called in the order of their first event.
        for client_id in {output.client_id: None for output in outputs if type(output) is Private}:
            record = self.ledger.client(client_id)
            if record is not None:
                self._on_private(record)
        for output in outputs:
            if isinstance(output, Public):
                self._on_public(output.message, False)
            elif isinstance(output, Broadcast):
                self._on_public(output.message, True)


def _storable(command: Command) -> Command:
    """Return *command* if a journal can store it; once it is carried out, it is too late to refuse it.

    Raises:
        ConfigurationError: it contains invalid Unicode.
    """
    try:
        msgspec.json.encode(command)
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"{error.object!r} cannot be encoded as UTF-8: {error.reason}") from None
    return command
