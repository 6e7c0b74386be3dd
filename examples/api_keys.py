"""Both flows of API keys, end to end on loopback: a gateway, signed requests, a session, STOMP.

Run it with ``make demo-apikeys``. It checks what it shows, and exits with code 0 only if everything was as expected.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
from pathlib import Path

import httpx

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth, SessionAuth, StompConnection
from cryptoproto.apikeys.server import Gatekeeper, load_config
from cryptoproto.apikeys.server.demonstration import demonstration_app, running

APPLICATION_YAML = """\
security:
  authorization:
    source: CONFIG
  api-keys:
    sessions:
      enabled: {sessions}
  api-keys-provider:
    api-keys:
      - name: TEST_API_KEY
        key: TEST_API_SECRET
        user: admin
        authorities: [TB_ALLOW_READ, TB_ALLOW_WRITE]
      - name: TEST_SESSION_API_KEY
        key: "{public_key}"
        user: admin
        authorities: [TB_ALLOW_READ, TB_ALLOW_WRITE]
"""


class Unexpected(Exception):
    """A result was not as expected."""


def show(what: str, expected: object, seen: object) -> None:
    """Print a line. Stop if *seen* is not *expected*."""
    print(f"  {what}: {seen}")
    if seen != expected:
        raise Unexpected(f"{what}: expected {expected}, saw {seen}")


def gatekeeper_of(folder: Path, key: cp.PrivateKey, *, sessions: bool) -> Gatekeeper:
    """A gatekeeper with a configuration as the gateway's documentation prints it."""
    path = folder / f"application-{sessions}.yaml"
    public_key = base64.b64encode(key.public_key.to_der()).decode()
    path.write_text(APPLICATION_YAML.format(sessions=str(sessions).lower(), public_key=public_key))
    return Gatekeeper(load_config(path))


async def topic(url: str, auth: ApiKeyAuth | SessionAuth, http: httpx.AsyncClient) -> None:
    """Subscribe, add a stream over REST, and receive its announcement."""
    async with (
        StompConnection.connect(url.replace("http", "ws", 1) + "/stomp/v0", auth=auth) as stomp,
        await stomp.subscribe("/topic/streams", receipt=True) as subscription,
    ):
        created = await http.post("/api/v0/streams", json={"key": "ticks"})
        show("POST /api/v0/streams", 201, created.status_code)
        message = await anext(subscription)
        show("message of /topic/streams", {"key": "ticks", "description": ""}, message.json())


async def basic_flow(gatekeeper: Gatekeeper) -> None:
    """Every request is signed with a key and its secret."""
    print("Basic flow")
    async with running(demonstration_app(gatekeeper)) as url:
        auth = ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET")
        async with httpx.AsyncClient(auth=auth, base_url=url) as http:
            response = await http.get("/api/v0/streams", params={"symbols": "AAPL", "maxPoints": "6000"})
            show("GET /api/v0/streams", 200, response.status_code)
            response = await http.post("/api/v0/bars1min/goog/select", data={"rows": "10", "from": "0"})
            show("a form, signed as parameters", 200, response.status_code)
            response = await http.get("/api/v0/streams?symbols=AAPL&symbols=MSFT")
            show("a repeated parameter", 400, response.status_code)
            await topic(url, auth, http)
        forger = ApiKeyAuth("TEST_API_KEY", "a guess")
        async with httpx.AsyncClient(auth=forger, base_url=url) as http:
            response = await http.get("/api/v0/streams")
            show("the same with a guessed secret", 400, response.status_code)


async def session_flow(gatekeeper: Gatekeeper, key: cp.PrivateKey) -> None:
    """A login gives both ends a common secret. The gateway stores public keys only."""
    print("Session flow")
    async with running(demonstration_app(gatekeeper)) as url:
        async with await SessionAuth.login(url, "TEST_SESSION_API_KEY", key) as auth:
            async with httpx.AsyncClient(auth=auth, base_url=url) as http:
                responses = await asyncio.gather(*(http.get("/api/v0/streams") for _ in range(100)))
                show("100 requests at once", {200}, {response.status_code for response in responses})
                await topic(url, auth, http)
                gatekeeper.sessions.end(auth.session.session_id)
                response = await http.get("/api/v0/streams")
                show("after the gateway lost the session", 200, response.status_code)
            async with httpx.AsyncClient(base_url=url) as plain:
                headers = auth.headers("GET", "/api/v0/streams")
                show("headers used once", 200, (await plain.get("/api/v0/streams", headers=headers)).status_code)
                show("headers used twice", 400, (await plain.get("/api/v0/streams", headers=headers)).status_code)
        show("sessions after the logout", 0, gatekeeper.sessions.session_count)


async def main() -> None:
    key = cp.PrivateKey.generate()
    with tempfile.TemporaryDirectory() as folder:
        await basic_flow(gatekeeper_of(Path(folder), key, sessions=False))
        await session_flow(gatekeeper_of(Path(folder), key, sessions=True), key)


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=60))
    except (Unexpected, cp.CryptoprotoError, httpx.HTTPError, OSError) as error:
        print(f"FAILED: {error or type(error).__name__}", file=sys.stderr)
        sys.exit(1)
    print("Everything as expected.")
