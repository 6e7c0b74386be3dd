"""What operators ask the owner: its status, a handover, to kill or revive a strategy, and to set its limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec
import nats.errors
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from ...client import Client
from ...client.error_row import ErrorRow
from ...exceptions import ConfigurationError, CryptoprotoError, GatewayError
from ...messages import MALFORMED
from ..names import OPERATOR, Names, check_strategy, is_inbox_of
from ..nats_connection import unsubscribe
from ..operations import GatewayStatus, OperationReply, OperationRequest, StrategyStatus
from ..strategy_ids import strategy_number
from .kill_switch import KillSwitch
from .strategies import Strategies

__all__ = ["AT_ONCE", "OperationService"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

AT_ONCE: Final = 16
"""How many requests of operators are carried out at the same time: a kill may take seconds."""


class OperationService:
    """Answers operators while this process is the owner.

    Args:
        nc: the connection to NATS.
        names: of subjects.
        client: the session with the exchange.
        kill_switch: kills and revives strategies.
        strategies: their numbers and limits.
        status: the status of the owner, without its strategies.

    Attributes:
        handover: set when an operator has asked for a handover.
    """

    def __init__(
        self,
        nc: Nats,
        names: Names,
        client: Client,
        kill_switch: KillSwitch,
        strategies: Strategies,
        status: Callable[[], GatewayStatus],
    ) -> None:
        self.handover: asyncio.Event = asyncio.Event()
        self._nc = nc
        self._names = names
        self._client = client
        self._kill_switch = kill_switch
        self._strategies = strategies
        self._status = status
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscription: Any = None

    async def start(self) -> None:
        """Take requests from here on."""
        self._subscription = await self._nc.subscribe(self._names.operation("*"), cb=self._on_request)

    async def close(self) -> None:
        """Take no more requests, and wait for the end of those that are carried out."""
        await unsubscribe(self._subscription)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _on_request(self, message: Msg) -> None:
        if not is_inbox_of(message.reply, OPERATOR):
            return  # anything else could be a subject that the sender itself may not publish on
        if len(self._tasks) >= AT_ONCE:
            error = GatewayError(f"the owner answers {AT_ONCE} operators at the moment; try again in a few seconds")
            await self._reply(message, OperationReply(ErrorRow.of(error)))
            return
        task = asyncio.ensure_future(self._serve(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: Msg) -> None:
        operation = message.subject.rpartition(".")[2]
        try:
            request = msgspec.json.decode(message.data or b"{}", type=OperationRequest)
            reply = await self._carry_out(operation, request)
        except MALFORMED as error:
            reply = OperationReply(ErrorRow.of(ConfigurationError(f"not a request of an operator: {error}")))
        except CryptoprotoError as error:
            reply = OperationReply(ErrorRow.of(error))
        await self._reply(message, reply)

    async def _reply(self, message: Msg, reply: OperationReply) -> None:
        try:
            await self._nc.publish(message.reply, msgspec.json.encode(reply))
        except nats.errors.Error as error:
            logger.warning("an operator could not be answered: %s", error)

    async def _carry_out(self, operation: str, request: OperationRequest) -> OperationReply:
        cancelled = failed = 0
        match operation:
            case "status":
                pass
            case "handover":
                logger.warning("an operator asked for a handover")
                self.handover.set()
            case "kill":
                cancelled, failed = await self._kill_switch.kill(request.strategy)
            case "revive":
                await self._kill_switch.revive(request.strategy)
            case "limits":
                changed = await self._strategies.set_limits(check_strategy(request.strategy), request.limits)
                logger.warning("an operator changed the limits of strategy %s: %s", request.strategy, changed.limits)
            case _:
                raise ConfigurationError(f"there is no operation {operation!r}: status, handover, kill, revive, limits")
        return OperationReply(status=self.status(), cancelled=cancelled, not_cancelled=failed)

    def status(self) -> GatewayStatus:
        """The owner and all strategies."""
        open_orders: dict[int, int] = {}
        for order in self._client.orders.open:
            number = strategy_number(order.client_order_id)
            open_orders[number] = open_orders.get(number, 0) + 1
        strategies = {
            name: StrategyStatus(each.number, each.is_killed, open_orders.get(each.number, 0), each.limits)
            for name, each in sorted(self._strategies.all().items())
        }
        return msgspec.structs.replace(self._status(), strategies=strategies)
