"""The names of subjects, streams and buckets in NATS. Rights are granted by these names, so they stand in one place."""

from __future__ import annotations

import re
from typing import Final

from ..exceptions import ConfigurationError

__all__ = ["GATEWAY", "OPERATOR", "PREFIX", "Names", "check_strategy", "inbox_of", "is_inbox_of"]

PREFIX: Final = "cryptoproto"
GATEWAY: Final = "=gateway"
"""The inbox of gateways; no strategy can have this name."""
OPERATOR: Final = "=operator"
"""The inbox of operators; no strategy can have this name."""
_STRATEGY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]")


class Names:
    """What belongs to one client id.

    Two exchanges that know the same client id need two prefixes, or two NATS accounts.

    Args:
        client_id: at the exchange.
        prefix: the first token of all subjects.
    """

    __slots__ = (
        "client_id",
        "events",
        "events_stream",
        "lease",
        "leases",
        "log",
        "log_stream",
        "prefix",
        "root",
        "strategies",
    )

    def __init__(self, client_id: str, prefix: str = PREFIX) -> None:
        if not _STRATEGY.fullmatch(prefix):
            raise ConfigurationError(f"prefix={prefix!r} must be 1 to 64 letters, digits, '-' or '_'")
        token = _token(client_id)
        self.client_id: str = client_id
        self.prefix: str = prefix
        self.root: str = f"{prefix}.{token}"
        self.events: str = f"{self.root}.events"
        self.events_stream: str = f"{prefix}-{token}-events"
        self.log: str = f"{self.root}.log"
        self.log_stream: str = f"{prefix}-{token}-log"
        self.leases: str = f"{prefix}-leases"
        self.lease: str = token
        self.strategies: str = f"{prefix}-{token}-strategies"

    def command(self, strategy: str) -> str:
        """Where *strategy* sends its commands; ``"*"`` stands for all strategies."""
        return f"{self.root}.command.{strategy}"

    @property
    def state(self) -> str:
        """Where the owner announces the states of its link."""
        return f"{self.root}.state"

    @property
    def account(self) -> str:
        """The NATS account for everything that belongs to this client id."""
        return f"{self.prefix}-{self.lease}"

    @property
    def market_lease(self) -> str:
        """The lease of the process that publishes market data, if that is not the owner."""
        return f"{self.lease}.market"

    def written(self, lease: str) -> str:
        """Where JetStream takes each write of a lease."""
        return f"$KV.{self.leases}.{lease}"

    @property
    def market(self) -> str:
        """Below it, market data is published: a subject for each pair, and one for what concerns no pair."""
        return f"{self.root}.market"

    def market_of(self, trade_pair: str) -> str:
        """Where the market data of a pair is published; that which concerns no pair, with an empty name."""
        return f"{self.market}.pair.{_token(trade_pair)}" if trade_pair else f"{self.market}.all"

    @property
    def market_beat(self) -> str:
        """Where the publisher of market data says every second what it has published."""
        return f"{self.market}.beat"

    def market_request(self, strategy: str) -> str:
        """Where *strategy* asks for the latest market data; ``"*"`` stands for all strategies."""
        return f"{self.root}.market-request.{strategy}"

    @property
    def broadcast(self) -> str:
        """Where events without a transaction id are passed on; they are not kept."""
        return f"{self.root}.broadcast"

    def operation(self, name: str) -> str:
        """Where operators ask for *name*, like ``status``; ``"*"`` stands for all operations."""
        return f"{self.root}.operation.{name}"

    def strategy_of(self, subject: str) -> str:
        """The strategy whose command arrived on *subject*. The server has checked that it may publish there."""
        return subject.rpartition(".")[2]


def check_strategy(strategy: str) -> str:
    """*strategy*, if it can be the name of one.

    Raises:
        ConfigurationError: it cannot.
    """
    if not _STRATEGY.fullmatch(strategy):
        raise ConfigurationError(f"strategy={strategy!r} must be 1 to 64 letters, digits, '-' or '_'")
    return strategy


def inbox_of(user: str) -> str:
    """The prefix of the subjects on which *user*, a strategy or a role, receives replies, and nobody else does."""
    return f"_INBOX.{user}"


def is_inbox_of(reply: str, user: str) -> bool:
    """Whether a reply may be sent to *reply* for *user*.

    A server does not check the reply subject of a request. Without this check, a strategy could have the gateway
    publish on any subject that the gateway may use.
    """
    return reply.startswith(f"{inbox_of(user)}.")


def _token(client_id: str) -> str:
    """*client_id* as one token of a subject: other characters as ``=`` and two digits for each of their bytes."""
    if not client_id:
        raise ConfigurationError("client_id must not be empty")
    return "".join(
        each if _PLAIN.match(each) else "".join(f"={byte:02X}" for byte in each.encode()) for each in client_id
    )
