"""Managers without sockets: an httpx transport that can be down, slow to return or wrong."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from cryptoproto.licensing import LicenseManager


class InMemory(httpx.AsyncBaseTransport):
    """Hands requests straight to managers by host name; ``faults`` says what happens at a host instead."""

    def __init__(self, **managers: LicenseManager) -> None:
        self.managers = managers
        self.faults: dict[str, Callable[[httpx.Request], httpx.Response]] = {}
        self.asked: list[str] = []
        self.bodies: list[bytes] = []

    def down(self, *hosts: str) -> None:
        """These hosts cannot be reached any more."""

        def fail(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("connection refused", request=request)

        for host in hosts or tuple(self.managers):
            self.faults[host] = fail

    def up(self) -> None:
        self.faults.clear()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        self.asked.append(host)
        body = await request.aread()
        self.bodies.append(body)
        if host in self.faults:
            return self.faults[host](request)
        reply = self.managers[host].handle(body)
        return httpx.Response(reply.status, content=reply.body)
