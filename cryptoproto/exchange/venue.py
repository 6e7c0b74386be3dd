"""The engine and the ledger as one: what clients send goes in, and what they are to hear is in their histories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..exceptions import ConfigurationError, DecodeError
from ..keys import PublicKey
from ..messages import AmountLike, Message, UserBalanceRequest, decode_client_message, decode_request
from ..wire import ErrorType
from .commands import Broadcast, Command, Output, Private, Public, Refused, Register, Submit
from .engine import Engine
from .ledger import ClientRecord, Ledger

__all__ = ["Venue"]


class Venue:
    """A market without sockets.

    Args:
        engine: matches orders.
        ledger: keeps clients and histories.
        clock: unix time in nanoseconds.
        on_private: told of each client that has something new in its history.
        on_public: told of each public message; a broadcast comes with true.
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
        self._ledger = ledger
        self._clock = clock
        self._on_private = on_private
        self._on_public = on_public

    def now_us(self) -> int:
        """Unix time in microseconds."""
        return self._clock() // 1000

    def client(self, client_id: str) -> ClientRecord | None:
        """The record of a client, ``None`` where it is not registered."""
        return self._ledger.client(client_id)

    def register(self, client_id: str, public_key: PublicKey, balances: Mapping[str, AmountLike]) -> None:
        """Open an account; see :meth:`Exchange.register`."""
        command = Register(client_id, dict(balances), self.now_us())
        known = self._ledger.client(client_id)
        if known is None:
            # The engine first: it refuses balances that cannot be, and then nobody is registered.
            self._raise_refusal(self.engine.apply(command))
        if self._ledger.add_client(client_id, public_key):
            self._ledger.append(command, ())

    def submit(self, client_id: str, sequence: int, payload: bytes) -> Refused | None:
        """Take a client's message; its sequence counts as seen whatever becomes of it."""
        try:
            command = Submit(client_id, decode_client_message(payload), self.now_us())
        except DecodeError as error:
            self._ledger.append(None, (), client_id=client_id, sequence=sequence)
            return Refused(client_id, ErrorType.INVALID_PAYLOAD, str(error))
        outputs = self.engine.apply(command)
        self._settle(command, outputs, client_id=client_id, sequence=sequence)
        last = outputs[-1] if outputs else None
        return last if isinstance(last, Refused) else None

    def request(self, client_id: str, payload: bytes) -> Message:
        """The response to an RPC request.

        Raises:
            DecodeError: the request is not known or malformed.
        """
        if isinstance(decode_request(payload), UserBalanceRequest):
            return self.engine.balances(client_id)
        return self.engine.open_orders(client_id)

    def operate(self, command: Command) -> None:
        """Carry out a command of the exchange's operator.

        Raises:
            ConfigurationError: it was refused, and nothing has changed.
        """
        outputs = self.engine.apply(command)
        self._settle(command, outputs)
        self._raise_refusal(outputs)

    @staticmethod
    def _raise_refusal(outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Refused):
                raise ConfigurationError(output.text)

    def _settle(
        self, command: Command, outputs: list[Output], *, client_id: str = "", sequence: int | None = None
    ) -> None:
        """Record first, tell then."""
        self._ledger.append(command, outputs, client_id=client_id, sequence=sequence)
        for private in dict.fromkeys(output.client_id for output in outputs if isinstance(output, Private)):
            record = self._ledger.client(private)
            if record is not None:
                self._on_private(record)
        for output in outputs:
            if isinstance(output, Public | Broadcast):
                self._on_public(output.message, isinstance(output, Broadcast))
