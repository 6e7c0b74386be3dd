"""The embedded exchange for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from .. import exchange as asynchronous
from ..instruments import Instrument
from ..keys import PublicKey
from ..messages import AmountLike, OrderBookAgg, UserBalanceResponse, UserOrdersResponse
from .loop_thread import LoopThread

__all__ = ["Exchange"]

_CLOSE_TIMEOUT_S = 5.0


class Exchange:
    """An exchange in its own thread, with the arguments and methods of :class:`cryptoproto.exchange.Exchange`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._exchange = asynchronous.Exchange(*args, **options)
        self._thread = LoopThread("exchange")

    def start(self) -> None:
        """Start to listen; ``with`` calls it."""
        self._thread.start()
        try:
            self._thread.run(self._exchange.start)
        except BaseException:
            self._thread.close(None, 0)
            raise

    def close(self, code: int = 1001, reason: str = "the exchange closes") -> None:
        """Disconnect everybody and stop listening. Idempotent."""
        self._thread.close(lambda: self._exchange.close(code, reason), _CLOSE_TIMEOUT_S)

    def restart(self) -> None:
        """Restart: disconnect everybody with code 1012, and listen on the same ports again."""
        self._thread.run(self._exchange.restart)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address for clients."""
        return self._exchange.url

    @property
    def market_data_url(self) -> str:
        """The address of the market-data socket."""
        return self._exchange.market_data_url

    @property
    def public_key(self) -> PublicKey:
        """The public key of the exchange: what clients pass as ``server_key``."""
        return self._exchange.public_key

    @property
    def rate_limit(self) -> float | None:
        """Messages and requests a second that a client may send; ``None`` = any number."""
        return self._exchange.rate_limit

    @property
    def path(self) -> str | None:
        """The journal's file; ``None`` if everything is kept in memory."""
        return self._exchange.path

    @property
    def client_ids(self) -> tuple[str, ...]:
        """The ids of all clients, in order of registration."""
        return self._thread.call(lambda: self._exchange.client_ids)

    @property
    def connected_clients(self) -> tuple[str, ...]:
        """The ids of the clients that are connected."""
        return self._thread.call(lambda: self._exchange.connected_clients)

    def register(self, client_id: str, public_key: PublicKey, balances: Mapping[str, AmountLike] | None = None) -> None:
        """Open an account; see :meth:`cryptoproto.exchange.Exchange.register`."""
        self._thread.call(lambda: self._exchange.register(client_id, public_key, balances))

    def deposit(self, client_id: str, currency: str, amount: AmountLike, *, to_address: str = "") -> None:
        """Deposit money into the account of a client."""
        self._thread.call(lambda: self._exchange.deposit(client_id, currency, amount, to_address=to_address))

    def withdraw(self, client_id: str, currency: str, amount: AmountLike, *, to_address: str = "") -> None:
        """Withdraw money from the account of a client."""
        self._thread.call(lambda: self._exchange.withdraw(client_id, currency, amount, to_address=to_address))

    def disable_pairs(self, trade_pairs: Iterable[str]) -> None:
        """Disable trading on these pairs, and broadcast it."""
        self._thread.call(lambda: self._exchange.disable_pairs(trade_pairs))

    def enable_pairs(self, trade_pairs: Iterable[str]) -> None:
        """Enable trading on these pairs again, and broadcast it."""
        self._thread.call(lambda: self._exchange.enable_pairs(trade_pairs))

    def set_instruments(self, instruments: Iterable[Instrument] | Mapping[str, Instrument]) -> None:
        """Replace the rules of all pairs, and publish them on the market-data socket."""
        self._thread.call(lambda: self._exchange.set_instruments(instruments))

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The rules of the pairs that have any, in order of the pairs."""
        return self._thread.call(lambda: self._exchange.instruments)

    def disconnect(self, client_id: str, code: int = 1001, reason: str = "") -> None:
        """Close the connection of a client, if it has one, with this close code."""
        self._thread.call(lambda: self._exchange.disconnect(client_id, code, reason))

    def balances(self, client_id: str) -> UserBalanceResponse:
        """The balances of a client."""
        return self._thread.call(lambda: self._exchange.balances(client_id))

    def open_orders(self, client_id: str) -> UserOrdersResponse:
        """The open orders of a client."""
        return self._thread.call(lambda: self._exchange.open_orders(client_id))

    def book(self, trade_pair: str) -> OrderBookAgg:
        """The aggregated book of a pair."""
        return self._thread.call(lambda: self._exchange.book(trade_pair))

    def totals(self) -> dict[str, Decimal]:
        """The total of each currency over all accounts, fees included."""
        return self._thread.call(self._exchange.totals)

    def flush(self) -> None:
        """Wait until everything that has happened is durable. Without a journal this returns at once."""
        self._thread.run(self._exchange.flush)

    def __repr__(self) -> str:
        if not self._thread.is_running:
            return "<sync.Exchange, not running>"
        return f"<sync.Exchange at {self.url}, connected clients: {len(self.connected_clients)}>"
