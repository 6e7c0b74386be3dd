"""What operators can ask, from any machine that may: the status of a gateway, a handover, kill and revive."""

from __future__ import annotations

import os
import ssl as ssl_module
from types import TracebackType
from typing import Any, Self

import msgspec
import nats.errors

from ..client.error_row import ErrorRow
from ..exceptions import GatewayError
from ..messages import MALFORMED
from .names import OPERATOR, PREFIX, Names, check_strategy, inbox_of
from .nats_connection import NatsConnection, close_nats, open_nats
from .strategy_limits import StrategyLimits

__all__ = ["GatewayStatus", "OperationReply", "OperationRequest", "Operator", "StrategyStatus"]


class StrategyStatus(msgspec.Struct, frozen=True):
    """One strategy.

    Attributes:
        number: part of its client order ids.
        is_killed: whether its orders are refused.
        open_orders: how many it has.
        limits: what it may do.
    """

    number: int
    is_killed: bool
    open_orders: int
    limits: StrategyLimits


class GatewayStatus(msgspec.Struct, frozen=True):
    """The owner at one moment.

    Attributes:
        client_id: at the exchange.
        owner: its host and process.
        fence: of this ownership; grows with each takeover.
        owned_s: for how many seconds it has owned the session.
        state: of the link to the exchange.
        reason: why it is in this state.
        position: the last transaction in the event stream, -1 if it is empty.
        lag: how many transactions were received and are not in the stream yet.
        unanswered: how many commands have no outcome.
        published: how many events this owner has published.
        strategies: by name.
    """

    client_id: str
    owner: str
    fence: int
    owned_s: float
    state: str
    reason: str
    position: int
    lag: int
    unanswered: int
    published: int
    strategies: dict[str, StrategyStatus] = {}


class OperationRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an operator asks the owner; the subject says for what."""

    strategy: str = ""
    limits: dict[str, Any] = {}


class OperationReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The owner's reply to an operator."""

    outcome: ErrorRow = msgspec.field(default_factory=ErrorRow)
    status: GatewayStatus | None = None
    cancelled: int = 0
    not_cancelled: int = 0


class Operator:
    """Asks the owner of a client id's session; an async context manager.

    Args:
        nats_url: the address of a NATS server, or of several, separated by commas.
        client_id: at the exchange.
        prefix: the first token of all NATS subjects.
        timeout: seconds for each question.
        nkey_seed: the file with the nkey seed of this operator.
        tls: for servers with certificates that the system does not trust.

    Raises:
        GatewayError: NATS cannot be used, or no gateway owns the session (from each method).
    """

    def __init__(
        self,
        nats_url: str,
        client_id: str,
        *,
        prefix: str = PREFIX,
        timeout: float = 5.0,
        nkey_seed: str | os.PathLike[str] | None = None,
        tls: ssl_module.SSLContext | None = None,
    ) -> None:
        self._nats_url = nats_url
        self._client_id = client_id
        self._names = Names(client_id, prefix)
        self._timeout = timeout
        self._nkey_seed = nkey_seed
        self._tls = tls
        self._nc = NatsConnection()

    async def __aenter__(self) -> Self:
        await open_nats(
            self._nc,
            self._nats_url,
            "cryptoproto operator",
            inbox=inbox_of(OPERATOR),
            nkey_seed=self._nkey_seed,
            tls=self._tls,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await close_nats(self._nc)

    async def status(self) -> GatewayStatus:
        """The owner and its strategies."""
        reply = await self._ask("status")
        if reply.status is None:
            raise GatewayError("the gateway did not state its status")
        return reply.status

    async def handover(self) -> None:
        """Let a standby follow: the owner closes its session in good order and gives the lease up."""
        await self._ask("handover")

    async def kill(self, strategy: str) -> OperationReply:
        """Refuse the orders of *strategy* from here on, and cancel those that are open."""
        return await self._ask("kill", check_strategy(strategy))

    async def revive(self, strategy: str) -> OperationReply:
        """Accept the orders of *strategy* again."""
        return await self._ask("revive", check_strategy(strategy))

    async def set_limits(self, strategy: str, **limits: Any) -> StrategyLimits:
        """Change some limits of *strategy*, and return all. They also hold for later owners.

        Args:
            strategy: its name; it need not have run yet.
            **limits: the names and values of :class:`StrategyLimits`; ``None`` removes a limit. Of *max_open_value*
                only the currencies that are named change.

        Raises:
            ConfigurationError: a limit cannot be used.
        """
        reply = await self._ask("limits", check_strategy(strategy), limits)
        return StrategyLimits() if reply.status is None else reply.status.strategies[strategy].limits

    async def _ask(self, operation: str, strategy: str = "", limits: dict[str, Any] | None = None) -> OperationReply:
        asked = msgspec.json.encode(OperationRequest(strategy, limits or {}))
        try:
            message = await self._nc.request(self._names.operation(operation), asked, timeout=self._timeout)
            reply = msgspec.json.decode(message.data, type=OperationReply)
        except nats.errors.NoRespondersError:
            raise GatewayError(
                f"no gateway owns the session of {self._client_id!r}; is one running? Try: cryptoproto gateway run"
            ) from None
        except (nats.errors.Error, TimeoutError) as error:
            raise GatewayError(f"the gateway did not answer within {self._timeout:g} s") from error
        except MALFORMED as error:
            raise GatewayError(f"the reply of the gateway cannot be read: {error}") from error
        if (refused := reply.outcome.restored()) is not None:
            raise refused
        return reply
