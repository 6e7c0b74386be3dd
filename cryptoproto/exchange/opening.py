"""What an exchange begins with: an engine in memory, or that of a journal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from ..exceptions import ConfigurationError
from ..instruments import Instrument
from ..keys import PrivateKey
from .engine import DEFAULT_PAIRS, Engine
from .journal import Journal, open_journal
from .ledger import Ledger, MemoryLedger
from .market_source import MarketSource

__all__ = ["Opened", "open_exchange"]


class Opened(NamedTuple):
    """The parts that outlive a connection."""

    private_key: PrivateKey
    engine: Engine
    ledger: Ledger
    journal: Journal | None


def open_exchange(
    path: str | os.PathLike[str] | None,
    *,
    feed: MarketSource | None,
    private_key: PrivateKey | None,
    trade_pairs: Sequence[str] | None,
    maker_fee: Decimal | None,
    taker_fee: Decimal | None,
    instruments: Sequence[Instrument],
) -> Opened:
    """Open the journal at *path*, or without one an engine in memory; see :class:`~cryptoproto.exchange.Exchange`.

    Raises:
        ConfigurationError: the file is not a journal, is in use, or contradicts an argument.
        JournalError: the journal is damaged.
    """
    if private_key is not None and not isinstance(private_key, PrivateKey):
        raise ConfigurationError(f"private_key must be a PrivateKey, not {type(private_key).__name__}")
    if path is not None:
        if feed is not None:
            raise ConfigurationError(f"path={os.fspath(path)!r}: an exchange with feed= has no journal")
        journal = open_journal(
            path, private_key=private_key, trade_pairs=trade_pairs, maker_fee=maker_fee, taker_fee=taker_fee,
            instruments=instruments,
        )  # fmt: skip
        return Opened(journal.private_key, journal.engine, journal, journal)
    default = DEFAULT_PAIRS if feed is None else sorted(feed.pairs or ())
    engine = Engine(
        trade_pairs=default if trade_pairs is None else trade_pairs,
        maker_fee=maker_fee or Decimal(0),
        taker_fee=taker_fee or Decimal(0),
        recorded=feed is not None,
    )
    return Opened(private_key or PrivateKey.generate(), engine, MemoryLedger(), None)
