"""The commands below ``cryptoproto``, and where they are. The module of a command is imported when it is run.

So ``cryptoproto --help`` needs nothing but this table and is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.main import get_group

__all__ = ["COMMANDS", "SETTINGS", "Place", "load"]

SETTINGS: Final[dict[str, Any]] = {
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,  # a traceback with local variables would print secrets
    "rich_markup_mode": "rich",
}
"""What the whole tree has in common."""


class Place(NamedTuple):
    """Where a command is.

    Attributes:
        module: in this package.
        attribute: a function, or a :class:`typer.Typer` of commands below it.
        summary: the first sentence of its help.
    """

    module: str
    attribute: str
    summary: str


COMMANDS: Final = {
    "demo": Place("demo", "demo", "Trade for ten seconds on a local exchange, and check that nothing was lost."),
    "keygen": Place("keys", "keygen", "Make an RSA key pair."),
    "exchange": Place("exchange", "exchange", "Run an exchange until Ctrl-C or SIGTERM."),
    "tail": Place("trade", "tail", "Show your events as they happen, until Ctrl-C."),
    "order": Place("trade", "order", "Place and cancel orders, and wait for the answer of the exchange."),
    "request": Place("trade", "request", "Ask the exchange for your balances or open orders."),
    "book": Place("book", "book", "Show the order book of a pair, until Ctrl-C."),
    "top": Place("top", "top", "Show the status of a running bot: orders, fills, balances, latencies."),
    "record": Place("record", "record_command", "Record order books and trades to a file, until Ctrl-C or SIGTERM."),
    "recording": Place("recording", "recording_app", "Look into recordings of market data."),
    "backtest": Place(
        "backtest", "backtest_command", "Run a bot on a recording, in virtual time, as if it had traded then."
    ),
    "bench": Place("bench", "bench", "Measure latencies: request round trips, and orders until they are acknowledged."),
    "gateway": Place("gateway", "app", "Share one exchange session with strategies on many machines, over NATS."),
    "profile": Place(
        "profile", "profile_app", "Profiles: the settings of an account in a file, for programs and for --profile."
    ),
    "apikeys": Place("apikeys", "app", "Sign requests with API keys, and run a gateway that checks them."),
    "conformance": Place(
        "conformance", "app", "Check a client or an exchange of any language with the scripts of the protocol."
    ),
    "license": Place(
        "license", "license_app", "Licenses: a gateway's keys, requests and tokens, and the license manager."
    ),
    "history": Place(
        "history",
        "history_app",
        "Trades, orders, balances and profit and loss, from the store of a bot with history.",
    ),
}


def load(name: str) -> Any:
    """Import the command *name*; returns it as click runs it."""
    place = COMMANDS[name]
    found = getattr(import_module(f".{place.module}", __package__), place.attribute)
    tree = typer.Typer(**SETTINGS)
    tree.callback()(lambda: None)
    if isinstance(found, typer.Typer):
        tree.add_typer(found, name=name)
    else:
        tree.command(name)(found)
    return get_group(tree).commands[name]
