"""Who may publish and receive what in NATS. A user may do nothing that is not listed here."""

from __future__ import annotations

import msgspec

from .names import GATEWAY, OPERATOR, Names, check_strategy, inbox_of

__all__ = ["Rights", "gateway_rights", "operator_rights", "strategy_rights"]


class Rights(msgspec.Struct, frozen=True):
    """The subjects that one user may publish on, and those that it may subscribe to."""

    publish: list[str]
    subscribe: list[str]


def strategy_rights(names: Names, strategy: str) -> Rights:
    """Its own commands and inbox; the state, market data and broadcasts to read.

    It has no rights in JetStream but to confirm what it has received. Whoever may ask JetStream for anything can have
    the answer written to any subject, the event stream included; so the owner has events delivered.
    """
    return Rights(
        publish=[
            names.command(check_strategy(strategy)),
            names.market_request(strategy),
            f"$JS.FC.{names.events_stream}.>",
        ],
        subscribe=[f"{inbox_of(strategy)}.>", names.state, names.broadcast, f"{names.market}.>"],
    )


def operator_rights(names: Names) -> Rights:
    """All operations, and the state to read."""
    return Rights(publish=[names.operation("*")], subscribe=[f"{inbox_of(OPERATOR)}.>", names.state])


def gateway_rights(names: Names) -> Rights:
    """Everything that owning the session takes; each client id has a NATS account, which nobody else can reach."""
    return Rights(
        publish=[f"{names.root}.>", "_INBOX.>", "$JS.>", "$KV.>"],
        subscribe=[
            f"{inbox_of(GATEWAY)}.>",
            names.written(names.lease),
            names.written(names.market_lease),
            names.command("*"),
            names.operation("*"),
            names.market_request("*"),
        ],
    )
