"""What an update of the quotes has done."""

from __future__ import annotations

import msgspec

from ..client import Order
from ..exceptions import CryptoprotoError
from ..instruments.grid import shown
from .levels import QuoteLevel

__all__ = ["QuoteFailure", "QuoteUpdate"]


class QuoteFailure(msgspec.Struct, frozen=True):
    """A level that is not as it is wanted, and why.

    Attributes:
        level: what could not be placed, or the order that could not be cancelled.
        order: the order, if one was sent.
        error: why; the error that :meth:`Client.place <cryptoproto.Client.place>` or ``cancel`` raised.
    """

    level: QuoteLevel
    order: Order | None
    error: CryptoprotoError


class QuoteUpdate(msgspec.Struct, frozen=True):
    """What an update has done.

    Attributes:
        placed: the orders that the exchange has accepted. They may have been filled since.
        cancelled: the orders that were cancelled.
        kept: the orders that were wanted as they are.
        failed: what could not be done. The next update tries again what is still wanted.
        limited: what the inventory limits have cut off the wanted levels.
    """

    placed: tuple[Order, ...] = ()
    cancelled: tuple[Order, ...] = ()
    kept: tuple[Order, ...] = ()
    failed: tuple[QuoteFailure, ...] = ()
    limited: tuple[QuoteLevel, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing has failed."""
        return not self.failed

    def __str__(self) -> str:
        counts = f"{len(self.placed)} placed, {len(self.cancelled)} cancelled, {len(self.kept)} kept"
        causes = "; ".join(
            f"{each.level.side.value} {shown(each.level.amount)} at {shown(each.level.price)}: {each.error}"
            for each in self.failed
        )
        return f"{counts}, {len(self.failed)} failed ({causes})" if causes else counts


class Progress:
    """Collects what an update does; the order in which it happens does not matter."""

    def __init__(self) -> None:
        self._placed: list[Order] = []
        self._cancelled: list[Order] = []
        self._failed: list[QuoteFailure] = []

    def placed(self, order: Order) -> None:
        """The exchange has accepted *order*."""
        self._placed.append(order)

    def cancelled(self, order: Order) -> None:
        """*order* is cancelled."""
        self._cancelled.append(order)

    def failed(self, level: QuoteLevel, order: Order | None, error: CryptoprotoError) -> None:
        """*level* is not as it is wanted."""
        self._failed.append(QuoteFailure(level, order, error))

    def result(self, kept: list[Order], limited: list[QuoteLevel]) -> QuoteUpdate:
        """All of it, with what the last plan has kept and cut."""
        stayed = tuple(order for order in kept if order not in self._placed)
        return QuoteUpdate(tuple(self._placed), tuple(self._cancelled), stayed, tuple(self._failed), tuple(limited))
