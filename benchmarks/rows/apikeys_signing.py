"""What signing a REST request costs, against the bare HMAC and the parsing of its URL."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from cryptoproto.apikeys import ApiKeyAuth, LoginOutcome, Session

from ..machinery.effort import Effort
from ..machinery.measure import in_turns, seconds
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 41

_SECRET = b"TEST_API_SECRET"
_QUERY = (
    "startTime=2009-06-19T19:22:00.000Z&endTime=2009-06-19T19:25:00.000Z&symbols=AAPL&levels=1&maxPoints=6000"
    "&type=TRADES_BBO"
)
_URLS = (
    f"http://localhost:8099/api/v0/charting/bbo?{_QUERY}",
    "http://localhost:8099/api/v0/bars1min/goog/select",
)
_BODY = (
    b'{"from":null,"to":null,"offset":0,"rows":1000,"reverse":false,"space":null,'
    b'"types":["deltix.timebase.api.messages.BarMessage"]}'
)


def rows(effort: Effort) -> list[Row]:
    """The basic flow and the session flow, each in turns with the floor."""
    basic = ApiKeyAuth("TEST_API_KEY", _SECRET)
    session = Session(LoginOutcome("90dd333e-4858-4fba-a71b-12f958b36689", _SECRET, 100.0))

    def sign_basic() -> None:
        for url in _URLS:
            basic.headers("POST", url, _BODY)

    def sign_session() -> None:
        for url in _URLS:
            session.headers("POST", url, _BODY)

    return [
        _row("apikeys-signing", "basic", sign_basic, effort),
        _row("apikeys-signing-session", "session", sign_session, effort),
    ]


def _row(name: str, flow: str, sign: Callable[[], None], effort: Effort) -> Row:
    times = effort.scaled(500)

    def us(work: Callable[[], None]) -> Callable[[], float]:
        return lambda: seconds(work, times) / len(_URLS) * 1e6

    title = f"sign a request in the {flow} flow, against bare HMAC and URL parsing"
    return Row.from_pairs(name, title, in_turns(us(sign), us(_bare), effort.rounds), unit="us", at_most=2.0)


def _bare() -> None:
    """What no signature can do without: split the URLs and hash the bytes."""
    for url in _URLS:
        parts = urlsplit(url)
        parse_qsl(parts.query, keep_blank_values=True)
        hmac.new(_SECRET, url.encode() + _BODY, "sha384").digest()
