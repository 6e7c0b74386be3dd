"""What an update of the quotes has done."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..client import Order
from ..exceptions import CryptoprotoError
from ..instruments.grid import shown
from ..messages import AsDict
from .levels import QuoteLevel

__all__ = ["QuoteFailure", "QuoteUpdate"]


class QuoteFailure(AsDict, msgspec.Struct, frozen=True):
    """A level that is not as it is wanted, and why.

    Attributes:
        action: what has failed: ``"place"`` or ``"cancel"``.
        level: what could not be placed, or what is left of the order that could not be cancelled.
        order: the order, if one was sent.
        error: why; the error that :meth:`Client.place <cryptoproto.Client.place>` or ``cancel`` raised.
    """

    action: Literal["place", "cancel"]
    level: QuoteLevel
    order: Order | None
    error: CryptoprotoError

    def __str__(self) -> str:
        level = self.level
        return f"{self.action} {level.side.value} {shown(level.amount)} at {shown(level.price)}: {self.error}"


class QuoteUpdate(AsDict, msgspec.Struct, frozen=True):
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
        causes = "; ".join(map(str, self.failed))
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

    def not_placed(self, level: QuoteLevel, order: Order | None, error: CryptoprotoError) -> None:
        """An order for *level* was not placed, or not for certain."""
        self._failed.append(QuoteFailure("place", level, order, error))

    def not_cancelled(self, order: Order, error: CryptoprotoError) -> None:
        """*order* was not cancelled, or not for certain."""
        level = QuoteLevel(order.side, order.price, order.remaining)
        self._failed.append(QuoteFailure("cancel", level, order, error))

    def result(self, kept: list[Order], limited: list[QuoteLevel]) -> QuoteUpdate:
        """All of it, with what the last plan has kept and cut."""
        stayed = tuple(order for order in kept if order not in self._placed)
        return QuoteUpdate(tuple(self._placed), tuple(self._cancelled), stayed, tuple(self._failed), tuple(limited))
