"""All links of an exchange, and which of them is the connection of a client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from ..wire import CloseCode
from .link import ClientLink

__all__ = ["LinkTable"]


class LinkTable:
    """The links from their opening to their end.

    Attributes:
        by_client: the live connection of each client that is connected.
        more_expected: whether more messages of clients will be handled in this turn of the event loop. What they lead
            to is then sent together, with one write for each link.
    """

    def __init__(self) -> None:
        self.by_client: dict[str, ClientLink] = {}
        self.more_expected: bool = False
        self._links: set[ClientLink] = set()
        self._farewell: tuple[int, str] | None = (
            None  # while the exchange is closed: for connections that come too late
        )

    def __iter__(self) -> Iterator[ClientLink]:
        """All links, those in the handshake and those that are closing included."""
        return iter(tuple(self._links))

    def opened(self, link: ClientLink) -> None:
        """A connection was accepted."""
        self._links.add(link)
        if self._farewell is not None:  # its TCP connection was accepted before, and the upgrade came too late
            link.close(*self._farewell)

    def expect_more(self, more: bool) -> None:
        """A link handles a message; *more*: and others after it, in this turn of the event loop."""
        self.more_expected = more

    def published(self, client_id: str, *, grouped: bool) -> None:
        """A client has new events; *grouped*: and perhaps others soon, in this turn of the event loop."""
        link = self.by_client.get(client_id)
        if link is not None:
            if grouped or self.more_expected:
                link.outbound.pump_soon()
            else:
                link.outbound.pump()

    def is_newest(self, client_id: str, hello_number: int) -> bool:
        """Whether no live link of the client began with a later hello."""
        live = self.by_client.get(client_id)
        return live is None or live.hello_number < hello_number

    def joined(self, link: ClientLink) -> None:
        """A client has proven its identity; an older connection of the same client ends."""
        if link.record is not None:
            client_id = link.record.client_id
            older = self.by_client.get(client_id)
            self.by_client[client_id] = link
            if older is not None:
                older.close(CloseCode.CONCURRENT_CONNECTION, "a second connection of this client took over")

    def left(self, link: ClientLink) -> None:
        """A link has ended."""
        self._links.discard(link)
        if link.record is not None and self.by_client.get(link.record.client_id) is link:
            del self.by_client[link.record.client_id]

    def broadcast(self, payload: bytes) -> None:
        """Send a broadcast to all clients."""
        for link in tuple(self.by_client.values()):
            link.outbound.broadcast(payload)

    def admit(self) -> None:
        """Links that open from here on stay open."""
        self._farewell = None

    def turn_away(self, code: int, reason: str) -> None:
        """Close each link that opens from here on, until :meth:`admit`."""
        self._farewell = (code, reason)

    def close_all(self, code: int, reason: str) -> None:
        """Close the links that are open."""
        for link in self:
            link.close(code, reason)

    async def wait_closed(self) -> None:
        """Wait until the links that are open now have ended."""
        await asyncio.gather(*(link.wait_closed() for link in self))
