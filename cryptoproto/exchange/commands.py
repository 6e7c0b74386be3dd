"""The engine's inputs and outputs.

Commands carry everything that a result depends on, the time included, and survive JSON and MessagePack, so a journal
of commands is enough to repeat a history::

    decoder = msgspec.json.Decoder(Command)
    engine.apply(decoder.decode(msgspec.json.encode(command))) == engine.apply(command)
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from ..instruments import Instrument
from ..messages import (
    AmountLike,
    AnonymousTrade,
    ClientMessage,
    InstrumentRules,
    Message,
    OrderBookAgg,
    TradesDisabledOnPairs,
    TradesEnabledOnPairs,
    TradingRules,
)
from .units import as_decimal

__all__ = [
    "Broadcast",
    "Command",
    "Deposit",
    "DisablePairs",
    "EnablePairs",
    "Expire",
    "LimitOpenOrders",
    "Observe",
    "Observed",
    "Output",
    "Private",
    "Public",
    "Refused",
    "Register",
    "SetInstruments",
    "Submit",
    "Withdraw",
]


# gc=False: like messages, these hold only numbers, strings and containers of those. Every command ends with time_us,
# microseconds since 1970: the engine has no other clock.
class _Command(msgspec.Struct, frozen=True, gc=False, tag_field="command", tag=True):
    pass


class Register(_Command, frozen=True, gc=False):
    """Open an account. Registering a known client changes nothing.

    A client's history starts with the opening balances; there is no event for them.

    Raises:
        ConfigurationError: a balance is a float or not a number.
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
        ConfigurationError: the amount is a float or not a number.
    """


class Withdraw(_Transfer, frozen=True, gc=False):
    """Money leaves a client's account; refused if the available balance is too small.

    Raises:
        ConfigurationError: the amount is a float or not a number.
    """


class DisablePairs(_Command, frozen=True, gc=False):
    """Accept no more orders for these pairs; resting orders stay and can be cancelled. Unknown pairs are ignored."""

    trade_pairs: list[str]
    time_us: int


class EnablePairs(_Command, frozen=True, gc=False):
    """Accept orders for these pairs again. Unknown pairs are ignored."""

    trade_pairs: list[str]
    time_us: int


class Expire(_Command, frozen=True, gc=False):
    """Cancel the orders whose ttl has passed. Every other command does so first, too."""

    time_us: int


class LimitOpenOrders(_Command, frozen=True, gc=False):
    """Set how many open orders a client may have. Orders beyond a lower limit stay open."""

    max_open_orders: int
    time_us: int


Observed: TypeAlias = OrderBookAgg | AnonymousTrade | TradesDisabledOnPairs | TradesEnabledOnPairs | TradingRules | None
"""What happened on a recorded market; ``None``: it was lost."""


class Observe(_Command, frozen=True, gc=False):
    """Something happened on the market that clients of a recorded market trade with.

    Not a :data:`Command`: such an exchange has no journal.
    """

    update: Observed
    time_us: int


class SetInstruments(_Command, frozen=True, gc=False):
    """Replace the rules of all pairs; those that are not named have none. Open orders stay as they are.

    A command, and not configuration: whether an order is accepted depends on the rules of its time, and a journal has
    to repeat that.

    Raises:
        ConfigurationError: the rules of a pair are impossible.
    """

    instruments: list[InstrumentRules]
    time_us: int

    def __post_init__(self) -> None:
        for rules in self.instruments:
            Instrument.from_rules(rules)


Command: TypeAlias = (
    Register | Submit | Deposit | Withdraw | DisablePairs | EnablePairs | Expire | LimitOpenOrders | SetInstruments
)
"""Everything that :meth:`~cryptoproto.exchange.engine.Engine.apply` accepts."""


class Private(msgspec.Struct, frozen=True, gc=False):
    """An event for one client: the next of its transactions."""

    client_id: str
    message: Message


class Public(msgspec.Struct, frozen=True, gc=False):
    """A trade for the market-data socket."""

    message: Message


class Broadcast(msgspec.Struct, frozen=True, gc=False):
    """An announcement for everybody, on both sockets."""

    message: Message


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The command was refused and changed nothing; the client receives an error frame and is disconnected.

    *error_type* is that of the protocol: -1 unknown error, 1 duplicate client order id, 2 invalid payload, 3 trades
    disabled.
    """

    client_id: str
    error_type: int
    text: str


Output: TypeAlias = Private | Public | Broadcast | Refused
"""Everything that :meth:`~cryptoproto.exchange.engine.Engine.apply` returns."""
