"""``ApiKeyAuth``: the signatures that the seed prints, httpx clients, and arguments that are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac

import httpx
import pytest

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth
from cryptoproto.apikeys.canonical import payload_of_url, sign
from tests.support.apikeys.samples import AUTH

BBO = (
    "http://localhost:8099/api/v0/charting/bbo?startTime=2009-06-19T19:22:00.000Z&endTime=2009-06-19T19:25:00.000Z"
    "&symbols=AAPL&levels=1&maxPoints=6000&type=TRADES_BBO"
)


BBO_PAYLOAD = (
    "GET/api/v0/charting/bboendtime=2009-06-19T19:25:00.000Z&levels=1&maxpoints=6000"
    "&starttime=2009-06-19T19:22:00.000Z&symbols=AAPL&type=TRADES_BBO"
)


SELECT = "http://localhost:8099/api/v0/bars1min/goog/select"


SELECT_BODY = (
    b'{"from":null,"to":null,"offset":0,"rows":1000,"reverse":false,"space":null,'
    b'"types":["deltix.timebase.api.messages.BarMessage"]}'
)


def test_the_printed_signature_of_a_query() -> None:
    assert payload_of_url("GET", BBO) == BBO_PAYLOAD.encode()
    assert AUTH.headers("GET", BBO, b"") == {
        "X-Deltix-ApiKey": "TEST_API_KEY",
        "X-Deltix-Signature": "7amMhPgGq2mXo6twDUyDUlWAYJ9g+PyemZ1yIj6yhCnk4TS5viVi9DCGpaWX+GZz",
    }


def test_the_printed_signature_of_a_body() -> None:
    assert payload_of_url("POST", SELECT, SELECT_BODY) == b"POST/api/v0/bars1min/goog/select" + SELECT_BODY
    signature = AUTH.headers("POST", SELECT, SELECT_BODY)["X-Deltix-Signature"]
    assert signature == "DtMdHJ4vc0LYx9H0YB80dICiah10x/i1KFrJ+Ba+RyOw5wc+6WcXdxCHA3GFYrIe"


def test_the_printed_signature_of_a_connect() -> None:
    payload = "90dd333e-4858-4fba-a71b-12f958b36689"
    assert AUTH.stomp_headers(payload) == {
        "X-Deltix-ApiKey": "TEST_API_KEY",
        "X-Deltix-Payload": payload,
        "X-Deltix-Signature": "nAoVRNtR+g8gKUG6/4hQbBbRy6A9KcqGfBjIx1gZCfwrGkvHBelJIpzosxelRRGF",
    }


def test_the_python_sample() -> None:
    digest = hmac.new(b"TEST_API_SECRET", b"GET/api/v0/streams", hashlib.sha384).digest()
    headers = AUTH.headers("GET", "http://localhost:8099/api/v0/streams")
    assert headers["X-Deltix-Signature"] == base64.b64encode(digest).decode()


def test_every_connect_has_another_payload() -> None:
    assert len({AUTH.stomp_headers()["X-Deltix-Payload"] for _ in range(100)}) == 100


def _echo(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={**request.headers, "body": request.content.decode()})


def test_sync_client_signs() -> None:
    with httpx.Client(auth=AUTH, transport=httpx.MockTransport(_echo)) as http:
        seen = http.get(BBO).json()
        assert seen["x-deltix-signature"] == AUTH.headers("GET", BBO)["X-Deltix-Signature"]
        sent = http.post(SELECT, content=SELECT_BODY).json()
        assert sent["x-deltix-signature"] == "DtMdHJ4vc0LYx9H0YB80dICiah10x/i1KFrJ+Ba+RyOw5wc+6WcXdxCHA3GFYrIe"
        assert sent["x-deltix-apikey"] == "TEST_API_KEY"


async def test_async_client_signs_streamed_bodies_too() -> None:
    async def pieces() -> object:
        yield SELECT_BODY[:10]
        yield SELECT_BODY[10:]

    async with httpx.AsyncClient(auth=AUTH, transport=httpx.MockTransport(_echo)) as http:
        sent = (await http.post(SELECT, content=pieces())).json()  # type: ignore[arg-type]
    assert sent["body"] == SELECT_BODY.decode()
    assert sent["x-deltix-signature"] == "DtMdHJ4vc0LYx9H0YB80dICiah10x/i1KFrJ+Ba+RyOw5wc+6WcXdxCHA3GFYrIe"


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "a\r\nX-Evil: 1", "ключ", "a" * 257])
def test_names_that_no_header_can_carry_are_refused(name: str) -> None:
    with pytest.raises(cp.ConfigurationError, match="printable ASCII"):
        ApiKeyAuth(name, "secret")


def test_other_arguments_that_cannot_be_used() -> None:
    with pytest.raises(cp.ConfigurationError, match="secret of an API key cannot be empty"):
        ApiKeyAuth("name", "")
    with pytest.raises(cp.ConfigurationError, match="begin with a slash"):
        ApiKeyAuth("name", "secret", path_prefix="timebase")
    with pytest.raises(cp.ConfigurationError, match="payload of a CONNECT"):
        AUTH.stomp_headers("a\nb")


def test_a_key_name_may_have_spaces_and_secrets_may_be_bytes() -> None:
    assert ApiKeyAuth("api key name", b"\xff\x00").headers("GET", "/")["X-Deltix-ApiKey"] == "api key name"


def test_a_proxy_prefix_is_not_signed() -> None:
    behind = ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET", path_prefix="/timebase/")
    assert behind.headers("GET", "https://h/timebase/api") == AUTH.headers("GET", "https://h/api")


def test_a_form_of_httpx_is_signed_as_parameters() -> None:
    with httpx.Client(auth=AUTH, transport=httpx.MockTransport(_echo)) as http:
        sent = http.post("http://h/a", data={"b": "1", "a": "2"}).json()
    assert sent["body"] == "b=1&a=2"
    assert sent["x-deltix-signature"] == sign(b"POST/aa=2&b=1", b"TEST_API_SECRET")


def test_nothing_of_the_secret_is_shown() -> None:
    assert repr(AUTH) == "<ApiKeyAuth TEST_API_KEY>"
