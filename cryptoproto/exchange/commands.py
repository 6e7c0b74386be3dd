"""What goes into the engine and what comes out of it.

Commands carry everything that a result depends on, the time included, and survive JSON and MessagePack, so that a
journal of them is enough to repeat a history::

    decoder = msgspec.json.Decoder(Command)
    engine.apply(decoder.decode(msgspec.json.encode(command))) == engine.apply(command)
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from ..messages import AmountLike, ClientMessage, Message
from .units import as_decimal

__all__ = [
    "Broadcast",
    "Command",
    "Deposit",
    "DisablePairs",
    "EnablePairs",
    "Expire",
    "Output",
    "Private",
    "Public",
    "Refused",
    "Register",
    "Submit",
    "Withdraw",
]


# gc=False: like messages, these hold only numbers, strings and containers of those. Every command ends with time_us,
# microseconds since 1970: the engine has no other clock.
class _Command(msgspec.Struct, frozen=True, gc=False, tag_field="command", tag=True):
    pass


class Register(_Command, frozen=True, gc=False):
    """Open an account. For a client that has one, nothing happens, whatever the balances.

    The opening balances are where a client's history starts; no event tells of them.

    Raises:
        ConfigurationError: a balance is a float or no number.
    """

    client_id: str
    balances: dict[str, AmountLike]
    time_us: int

    def __post_init__(self) -> None:
        exact = {currency: as_decimal(value, currency) for currency, value in self.balances.items()}
        msgspec.structs.force_setattr(self, "balances", exact)


class Submit(_Command, frozen=True, gc=False):
    """A client sent a message."""

    client_id: str
    message: ClientMessage
    time_us: int


class _Transfer(_Command, frozen=True, gc=False):
    client_id: str
    currency: str
    amount: AmountLike
    to_address: str
    blockchain_tx_ids: list[str]
    time_us: int

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "amount", as_decimal(self.amount, "amount"))


class Deposit(_Transfer, frozen=True, gc=False):
    """Money arrived for a client.

    Raises:
        ConfigurationError: the amount is a float or no number.
    """


class Withdraw(_Transfer, frozen=True, gc=False):
    """Money leaves a client's account; refused beyond what is available.

    Raises:
        ConfigurationError: the amount is a float or no number.
    """


class DisablePairs(_Command, frozen=True, gc=False):
    """Take no more orders for these pairs; orders stay and can be cancelled. Unknown pairs are passed over."""

    trade_pairs: list[str]
    time_us: int


class EnablePairs(_Command, frozen=True, gc=False):
    """Take orders for these pairs again. Unknown pairs are passed over."""

    trade_pairs: list[str]
    time_us: int


class Expire(_Command, frozen=True, gc=False):
    """Cancel what is past its ttl. Every other command does so first, too."""

    time_us: int


Command: TypeAlias = Register | Submit | Deposit | Withdraw | DisablePairs | EnablePairs | Expire
"""Everything that :meth:`~cryptoproto.exchange.engine.Engine.apply` takes."""


class Private(msgspec.Struct, frozen=True, gc=False):
    """An event for one client: the next of its transactions."""

    client_id: str
    message: Message


class Public(msgspec.Struct, frozen=True, gc=False):
    """A trade for the market-data socket."""

    message: Message


class Broadcast(msgspec.Struct, frozen=True, gc=False):
    """An announcement for everybody on both sockets."""

    message: Message


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The command was refused and changed nothing; the client gets an error frame and is disconnected.

    *error_type* is that of the protocol: -1 unknown error, 1 duplicate client order id, 2 invalid payload, 3 trades
    disabled.
    """

    client_id: str
    error_type: int
    text: str


Output: TypeAlias = Private | Public | Broadcast | Refused
"""Everything that :meth:`~cryptoproto.exchange.engine.Engine.apply` gives back."""
