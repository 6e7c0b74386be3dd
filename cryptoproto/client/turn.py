"""When a message may be sent: there is a connection, the rate allows it, and throttling does not hold it."""

from __future__ import annotations

from ..connection import Connection
from ..exceptions import CryptoprotoError
from .link import Link, not_sent
from .outcomes import Kind
from .rate_limiter import RateLimiter
from .submission import Submission

__all__ = ["turn"]


async def turn(link: Link, rate_limiter: RateLimiter, submission: Submission, *, wait: bool) -> Connection | None:
    """A connection that takes the message now; ``None`` if the connection ended while it had to wait.

    Cancels go before orders that wait.

    Raises:
        ClientClosed: the client is closed for good.
        RequestNotSent: there is no connection, and *wait* is false.
        ConfigurationError: the message cannot be sent.
    """
    urgent = submission.pending.kind is not Kind.PLACE
    connection = link.live() or await link.wait_live(wait=wait)
    if rate_limiter.is_limited:
        await rate_limiter.turn(urgent=urgent)
    try:
        if not connection.is_free_for(submission.payload):
            await connection.wait_turn(urgent=urgent)
    except CryptoprotoError as error:
        if connection.is_open:  # it is the message that cannot be sent
            raise
        if not wait:
            raise not_sent(f"the connection ended: {error}", cause=error) from error
        return None
    return connection
