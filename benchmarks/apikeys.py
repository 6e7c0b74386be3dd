"""What signing costs, and whether a thousand requests at once keep their nonces in order.

Run it by itself with ``python -m benchmarks.apikeys``. Ratios are medians of rounds in which both sides take turns,
so that what else the machine does meets both.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import httpx

from cryptoproto import PrivateKey
from cryptoproto.apikeys import ApiKeyAuth, LoginOutcome, Session, SessionAuth
from cryptoproto.apikeys.diffie_hellman import DEFAULT_GROUP, power
from cryptoproto.apikeys.server import ApiKey, ApiKeysConfig, Gatekeeper, KeyStore, SessionSettings
from cryptoproto.apikeys.server.demonstration import demonstration_app, running

SECRET = b"TEST_API_SECRET"
QUERY = (
    "startTime=2009-06-19T19:22:00.000Z&endTime=2009-06-19T19:25:00.000Z&symbols=AAPL&levels=1&maxPoints=6000"
    "&type=TRADES_BBO"
)
URLS = (
    f"http://localhost:8099/api/v0/charting/bbo?{QUERY}",
    "http://localhost:8099/api/v0/bars1min/goog/select",
)
BODY = (
    b'{"from":null,"to":null,"offset":0,"rows":1000,"reverse":false,"space":null,'
    b'"types":["deltix.timebase.api.messages.BarMessage"]}'
)


@dataclass(frozen=True)
class Row:
    """One measured number beside what is asked of it."""

    name: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None


def _bare() -> None:
    """What nobody can do without: take the URLs apart, and HMAC the bytes."""
    for url in URLS:
        parts = urlsplit(url)
        parse_qsl(parts.query, keep_blank_values=True)
        hmac.new(SECRET, url.encode() + BODY, "sha384").digest()


def _seconds(work: Callable[[], None], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def _signing() -> list[Row]:
    basic = ApiKeyAuth("TEST_API_KEY", SECRET)
    session = Session(LoginOutcome("90dd333e-4858-4fba-a71b-12f958b36689", SECRET, 100.0))

    def sign_basic() -> None:
        for url in URLS:
            basic.headers("POST", url, BODY)

    def sign_session() -> None:
        for url in URLS:
            session.headers("POST", url, BODY)

    rounds = [tuple(_seconds(work, 500) for work in (_bare, sign_basic, sign_session)) for _ in range(41)]
    bare = statistics.median(one[0] for one in rounds) / len(URLS)
    rows = [Row("bare HMAC and URL parsing", bare * 1e6, "us")]
    for column, name in ((1, "basic flow"), (2, "session flow")):
        ratio = statistics.median(one[column] / one[0] for one in rounds)
        took = statistics.median(one[column] for one in rounds) / len(URLS)
        rows.append(Row(f"signing a request, {name}", took * 1e6, "us"))
        rows.append(Row(f"signing / bare, {name}", ratio, "x", "<= 2", ratio <= 2))
    return rows


def _exponentiation() -> list[Row]:
    base, exponent, modulus = 3, DEFAULT_GROUP.modulus // 3, DEFAULT_GROUP.modulus
    rounds = [
        (
            _seconds(lambda: _discard(power(base, exponent, modulus)), 1),
            _seconds(lambda: _discard(pow(base, exponent, modulus)), 1),
        )
        for _ in range(15)
    ]
    return [
        Row("one exponentiation, 2048 bits", statistics.median(one[0] for one in rounds) * 1e3, "ms"),
        Row("the same / built-in pow()", statistics.median(one[0] / one[1] for one in rounds), "x"),
    ]


def _discard(value: int) -> None:
    pass


async def _loop_stall(url: str, key: PrivateKey) -> tuple[float, float]:
    """Seconds of a login, and the longest that the event loop was not heard of meanwhile."""
    longest = 0.0
    done = False

    async def listen() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not done:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    listening = asyncio.create_task(listen())
    start = time.perf_counter()
    auth = await SessionAuth.login(url, "TEST_SESSION_API_KEY", key)
    took = time.perf_counter() - start
    done = True
    await listening
    await auth.close()
    return took, longest


async def _session() -> list[Row]:
    key = PrivateKey.generate()
    public = base64.b64encode(key.public_key.to_der()).decode()
    keys = KeyStore.of(ApiKey.parse("TEST_SESSION_API_KEY", public, "admin", ["TB_ALLOW_READ"]))
    gatekeeper = Gatekeeper(ApiKeysConfig(keys, SessionSettings(enabled=True)))
    async with running(demonstration_app(gatekeeper)) as url:
        logins = [await _loop_stall(url, key) for _ in range(9)]
        async with await SessionAuth.login(url, "TEST_SESSION_API_KEY", key) as auth:
            limits = httpx.Limits(max_connections=100)
            async with httpx.AsyncClient(auth=auth, base_url=url, limits=limits, timeout=60) as http:
                start = time.perf_counter()
                responses = await asyncio.gather(*(http.get("/api/v0/streams") for _ in range(1000)))
                took = time.perf_counter() - start
    rejected = sum(response.status_code != 200 for response in responses)
    return [
        Row("login, client and gateway in one process", statistics.median(one[0] for one in logins) * 1e3, "ms"),
        Row("longest stall of the loop during it", statistics.median(one[1] for one in logins) * 1e3, "ms"),
        Row("1,000 requests at once, one session: rejected", rejected, "", "0", rejected == 0),
        Row("1,000 requests at once, one session: rate", 1000 / took, "/s"),
    ]


def rows() -> list[Row]:
    """Measure; takes about ten seconds."""
    return [*_signing(), *_exponentiation(), *asyncio.run(_session())]


def main() -> None:
    for row in rows():
        verdict = {None: "", True: "met", False: "MISSED"}[row.met]
        print(f"{row.name:<46} {row.value:>10.2f} {row.unit:<3} {row.target:<5} {verdict}".rstrip())


if __name__ == "__main__":
    main()
