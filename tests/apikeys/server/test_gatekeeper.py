"""The gatekeeper: which credentials and logins are refused, with which status and message."""

from __future__ import annotations

import base64
import itertools
import json
import random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth, ClientLogin, Group, GroupLimits, Session
from cryptoproto.apikeys.diffie_hellman import to_base64
from cryptoproto.apikeys.server import (
    ApiKey,
    ApiKeysConfig,
    Gatekeeper,
    KeyStore,
    Principal,
    SessionSettings,
    SessionTable,
)
from tests.support.apikeys.clocks import Clock
from tests.support.apikeys.refusals import refused
from tests.support.apikeys.samples import AUTH, SMALL_GROUP, SMALL_LIMITS, base64_of


def _get(gatekeeper: Gatekeeper, headers: dict[str, str], path: str = "/a") -> Principal:
    return gatekeeper.check(gatekeeper.claim(headers), "GET", path)


class Login:
    """A login step by step, without HTTP."""

    def __init__(self, gatekeeper: Gatekeeper, key: cp.PrivateKey) -> None:
        self.gatekeeper = gatekeeper
        self.key = key

    def attempt(self, name: str = "TEST_SESSION_API_KEY") -> tuple[ClientLogin, dict[str, str]]:
        reply = self.gatekeeper.attempt(json.dumps({"api_key_id": name}).encode())
        login = ClientLogin(json.dumps(reply).encode(), limits=SMALL_LIMITS)
        return login, json.loads(login.answer(self.key))

    def confirm(self, answer: object) -> dict[str, str]:
        confirmation = self.gatekeeper.confirm(json.dumps(answer).encode())
        return self.gatekeeper.establish(confirmation, self.gatekeeper.exchange(confirmation))

    def session(self) -> Session:
        login, answer = self.attempt()
        return Session(login.finish(json.dumps(self.confirm(answer)).encode()))


@pytest.fixture
def login(session_gatekeeper: Gatekeeper, alice_key: cp.PrivateKey) -> Login:
    return Login(session_gatekeeper, alice_key)


# --- the basic flow -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({}, 401, "no credentials"),
        ({"X-Deltix-Signature": AUTH.headers("GET", "/a")["X-Deltix-Signature"]}, 401, "no credentials"),
        ({**AUTH.headers("GET", "/a"), "X-Deltix-ApiKey": "NOBODY"}, 401, "unknown API key"),
        ({"X-Deltix-ApiKey": "TEST_API_KEY"}, 400, "X-Deltix-Signature is missing"),
        (AUTH.headers("GET", "/b"), 400, "signature is wrong"),
        (AUTH.headers("POST", "/a"), 400, "signature is wrong"),
        (AUTH.headers("GET", "/a?x=1"), 400, "signature is wrong"),
        (ApiKeyAuth("TEST_API_KEY", "guess").headers("GET", "/a"), 400, "signature is wrong"),
        ({"X-Deltix-ApiKey": "TEST_API_KEY", "X-Deltix-Signature": "?"}, 400, "not base64"),
        ({"X-Deltix-ApiKey": "TEST_API_KEY", "X-Deltix-Signature": "A" * 63 + "?"}, 400, "not base64"),
        ({"X-Deltix-ApiKey": "TEST_API_KEY", "X-Deltix-Signature": "A" * 65}, 400, "not base64"),
        ({"X-Deltix-Session-Id": "x", "X-Deltix-Nonce": "1", "X-Deltix-Signature": "A" * 64}, 401, "no credentials"),
    ],
)
def test_basic_refusals(basic_gatekeeper: Gatekeeper, headers: dict[str, str], status: int, words: str) -> None:
    with refused(status, words):
        _get(basic_gatekeeper, headers)


def test_a_public_key_is_not_a_secret_of_the_basic_flow(basic_gatekeeper: Gatekeeper, alice_key: cp.PrivateKey) -> None:
    """Public keys are known to everyone, so they must not sign anything."""
    forged = ApiKeyAuth("TEST_SESSION_API_KEY", base64_of(alice_key.public_key.to_der()))
    with refused(401, "unknown API key"):
        _get(basic_gatekeeper, forged.headers("GET", "/a"))


def test_a_connect_needs_its_payload(basic_gatekeeper: Gatekeeper) -> None:
    headers = AUTH.stomp_headers("90dd333e")
    assert basic_gatekeeper.check_connect(headers).user == "admin"
    del headers["X-Deltix-Payload"]
    with refused(400, "X-Deltix-Payload is missing"):
        basic_gatekeeper.check_connect(headers)


def test_a_principal_stands_until_its_key_changes() -> None:
    present = {"k": ApiKey.parse("k", "s", "user", ["READ"])}
    store = KeyStore(lambda: dict(present))
    gatekeeper = Gatekeeper(ApiKeysConfig(store))
    principal = _get(gatekeeper, ApiKeyAuth("k", "s").headers("GET", "/a"))
    assert gatekeeper.still_stands(principal)
    gatekeeper.log_out(principal)  # the basic flow has nothing to end
    same = dict(present)
    store.reload()
    assert gatekeeper.still_stands(principal)
    for changed in (
        {"k": ApiKey.parse("k", "s", "user", [])},
        {"k": ApiKey.parse("k", "s", "other", ["READ"])},
        {"k": ApiKey.parse("k", "another secret", "user", ["READ"])},
        {},
        same,  # it was gone in between
    ):
        present.clear()
        present.update(changed)
        store.reload()
        assert not gatekeeper.still_stands(principal)


# --- the session flow ---------------------------------------------------------------------------------


def test_the_basic_flow_is_off_when_sessions_are_on(session_gatekeeper: Gatekeeper) -> None:
    with refused(401, "no credentials: log in"):
        _get(session_gatekeeper, AUTH.headers("GET", "/a"))


def test_both_flows_on_request(keys: KeyStore, alice_key: cp.PrivateKey, clock: Clock) -> None:
    sessions = SessionSettings(enabled=True, group=SMALL_GROUP)
    gatekeeper = Gatekeeper(ApiKeysConfig(keys, sessions, both_flows=True), clock=clock)
    basic = AUTH.headers("GET", "/a")
    session = Login(gatekeeper, alice_key).session().headers("GET", "/a")
    assert (_get(gatekeeper, basic).session_id, _get(gatekeeper, session).session_id is not None) == (None, True)
    with refused(400, "not both"):
        _get(gatekeeper, {**session, **basic})
    with refused(401, "no credentials"):
        _get(gatekeeper, {})


def test_too_many_logins_at_once(keys: KeyStore, alice_key: cp.PrivateKey, clock: Clock) -> None:
    sessions = SessionSettings(enabled=True, group=SMALL_GROUP)
    table = SessionTable(sessions, clock=clock, max_confirmed=1)
    login = Login(Gatekeeper(ApiKeysConfig(keys, sessions), clock=clock, table=table), alice_key)
    login.session()
    with refused(503, "try again"):
        login.session()


def test_session_refusals(login: Login) -> None:
    good = login.session().headers("GET", "/a")
    for headers, words in [
        ({**good, "X-Deltix-Session-Id": "nobody"}, "unknown session"),
        ({**good, "X-Deltix-Nonce": "1"}, "signature is wrong"),
        ({**good, "X-Deltix-Nonce": "0"}, "whole number"),
        ({**good, "X-Deltix-Nonce": "-1"}, "whole number"),
        ({**good, "X-Deltix-Nonce": "1.5"}, "whole number"),
        ({**good, "X-Deltix-Nonce": "²"}, "whole number"),
        ({**good, "X-Deltix-Nonce": str(2**63)}, "whole number"),
        ({**good, "X-Deltix-Signature": "?"}, "not base64"),
        ({name: good[name] for name in good if name != "X-Deltix-Nonce"}, "X-Deltix-Nonce is missing"),
        ({name: good[name] for name in good if name != "X-Deltix-Signature"}, "X-Deltix-Signature is missing"),
    ]:
        with refused(400, words):
            _get(login.gatekeeper, headers)
    # None of these used the nonce up.
    assert _get(login.gatekeeper, good).session_id == good["X-Deltix-Session-Id"]
    with refused(400, "nonce is not above the last one"):
        _get(login.gatekeeper, good)


def test_a_forged_request_does_not_use_up_a_nonce(login: Login) -> None:
    good = login.session().headers("GET", "/a")
    with refused(400, "signature is wrong"):
        _get(login.gatekeeper, {**good, "X-Deltix-Nonce": str(2**63 - 1)})
    assert _get(login.gatekeeper, good)


def test_a_session_ends_when_it_is_idle(login: Login, clock: Clock) -> None:
    session = login.session()
    for _ in range(3):
        clock.now += 99
        _get(login.gatekeeper, session.headers("GET", "/a"))
    clock.now += 100
    with refused(400, "unknown session"):
        _get(login.gatekeeper, session.headers("GET", "/a"))


def test_refused_requests_do_not_keep_a_session_alive(login: Login, clock: Clock) -> None:
    session = login.session()
    clock.now += 99
    with refused(400, "signature is wrong"):
        _get(login.gatekeeper, session.headers("GET", "/b"))
    clock.now += 1
    with refused(400, "unknown session"):
        _get(login.gatekeeper, session.headers("GET", "/a"))


_DEEP = 1_000_000  # Python 3.14 and later recurse until the stack is full
NESTED = b'{"api_key_id": "a", "x": ' + b"[" * _DEEP + b"]" * _DEEP + b"}"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"api_key_id": 5}', b"\xff", b'"x"', NESTED])
def test_malformed_attempts(session_gatekeeper: Gatekeeper, body: bytes) -> None:
    with refused(400, "the request is"):
        session_gatekeeper.attempt(body)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"session_id": "nobody"}, "unknown session"),
        ({"signature": "?"}, "signature is not base64"),
        ({"signature": ""}, "signature is wrong"),
        ({"signature": "AAAA"}, "signature is wrong"),
        ({"dh_key": "?"}, "dh_key is not base64"),
        ({"dh_key": ""}, "dh_key is empty"),
        ({"dh_key": to_base64(1)}, "outside 2 to p-2"),
        ({"dh_key": to_base64(SMALL_GROUP.modulus - 1)}, "outside 2 to p-2"),
        ({"dh_key": to_base64(SMALL_GROUP.modulus + 5)}, "outside 2 to p-2"),
        ({"dh_key": "A" * 1000}, "dh_key is longer"),
        ({"dh_key": None}, "malformed"),
    ],
)
def test_confirmations_that_are_refused(login: Login, changes: dict[str, Any], words: str) -> None:
    _, answer = login.attempt()
    with refused(400, words):
        login.confirm({**answer, **changes})


def test_a_challenge_makes_one_session(login: Login) -> None:
    _, answer = login.attempt()
    with refused(400, "signature is wrong"):
        login.confirm({**answer, "signature": "AAAA"})
    login.confirm(answer)  # a wrong answer by somebody else does not use the challenge up
    with refused(400, "unknown session"):
        login.confirm(answer)


def test_a_login_must_be_confirmed_in_time(login: Login, clock: Clock) -> None:
    _, answer = login.attempt()
    clock.now += 10
    with refused(400, "unknown session"):
        login.confirm(answer)


@pytest.mark.parametrize("name", ["NOBODY", "TEST_API_KEY"])
def test_a_login_of_an_unknown_key_is_refused_at_once(login: Login, name: str) -> None:
    """A key without a public key is unknown here, too."""
    with refused(401, "unknown API key"):
        login.attempt(name)


def test_a_predictable_secret_is_refused(keys: KeyStore, alice_key: cp.PrivateKey, clock: Clock) -> None:
    sessions = SessionSettings(enabled=True, group=SMALL_GROUP, dh_secret_size=4096)
    order = SMALL_GROUP.modulus - 1
    gatekeeper = Gatekeeper(ApiKeysConfig(keys, sessions), clock=clock, random_below=lambda below: order // 2 - 2)
    login = Login(gatekeeper, alice_key)
    _, answer = login.attempt()
    with refused(400, "predictable"):
        login.confirm(answer)
    assert gatekeeper.sessions.session_count == 0


def test_removing_or_changing_a_key_ends_its_sessions(
    alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, clock: Clock
) -> None:
    def entry(key: cp.PrivateKey) -> ApiKey:
        return ApiKey.parse("TEST_SESSION_API_KEY", base64_of(key.public_key.to_der()), "u", ["TB_ALLOW_READ"])

    present = {"TEST_SESSION_API_KEY": entry(alice_key)}
    store = KeyStore(lambda: dict(present))
    gatekeeper = Gatekeeper(ApiKeysConfig(store, SessionSettings(enabled=True, group=SMALL_GROUP)), clock=clock)
    session = Login(gatekeeper, alice_key).session()
    store.reload()
    assert _get(gatekeeper, session.headers("GET", "/a"))
    present["TEST_SESSION_API_KEY"] = entry(bob_key)
    store.reload()
    with refused(400, "unknown session"):
        _get(gatekeeper, session.headers("GET", "/a"))
    _, answer = Login(gatekeeper, bob_key).attempt()
    present.clear()
    store.reload()
    with refused(401, "unknown API key"):
        Login(gatekeeper, bob_key).confirm(answer)


def test_a_gatekeeper_shows_its_flow_alone(basic_gatekeeper: Gatekeeper, session_gatekeeper: Gatekeeper) -> None:
    assert (repr(basic_gatekeeper), repr(session_gatekeeper)) == ("<Gatekeeper basic>", "<Gatekeeper sessions>")


# --- many logins --------------------------------------------------------------------------------------


def _is_prime(number: int) -> bool:
    small = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    return all(number % prime for prime in small) and all(pow(base, number - 1, number) == 1 for base in (2, *small))


def _safe_primes(rng: random.Random, bits: range) -> list[int]:
    """One safe prime of each length. In their groups, only p−1 has a small order."""
    found = []
    for length in bits:
        while True:
            half = rng.getrandbits(length - 1) | 1 | 1 << (length - 2)
            if _is_prime(half) and _is_prime(2 * half + 1):
                found.append(2 * half + 1)
                break
    return found


def _one_login(
    gatekeeper: Gatekeeper, key: cp.PrivateKey, name: str, limits: GroupLimits, rng: random.Random, *, unsigned: bool
) -> dict[str, bytes]:
    """Log in, send one signed request, and return the numbers that were exchanged."""
    attempt = gatekeeper.attempt(json.dumps({"api_key_id": name}).encode())
    login = ClientLogin(json.dumps(attempt).encode(), limits=limits, random_below=rng.randrange)
    answer = json.loads(login.answer(key))
    ours = base64.b64decode(answer["dh_key"])
    if unsigned:  # as clients write it that know no two's complement
        answer["dh_key"] = base64.b64encode(ours.lstrip(b"\0")).decode()
    confirmation = gatekeeper.confirm(json.dumps(answer).encode())
    reply = gatekeeper.establish(confirmation, gatekeeper.exchange(confirmation))
    outcome = login.finish(json.dumps(reply).encode())
    session = Session(outcome)
    headers = session.headers("POST", "/p?a=1", b"body")
    principal = gatekeeper.check(gatekeeper.claim(headers), "POST", "/p", "a=1", b"body")
    assert principal.session_id == outcome.session_id
    gatekeeper.log_out(principal)
    return {"client": ours, "server": base64.b64decode(reply["dh_key"]), "secret": outcome.secret}


def test_ten_thousand_logins_on_small_groups() -> None:
    rng = random.Random(4)
    key = cp.PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=1024))  # quick, and allowed here
    keys = KeyStore.of(ApiKey.parse("k", base64_of(key.public_key.to_der()), "user"))
    gatekeepers = []
    for modulus in _safe_primes(rng, range(33, 99, 6)):
        sessions = SessionSettings(enabled=True, challenge_size=32, group=Group(2, modulus))
        gatekeepers.append(Gatekeeper(ApiKeysConfig(keys, sessions), random_below=rng.randrange))
    shapes: dict[str, int] = {"leading zero": 0, "no leading zero": 0, "odd length": 0, "even length": 0}
    for number, gatekeeper in enumerate(itertools.islice(itertools.cycle(gatekeepers), 10_000)):
        seen = _one_login(gatekeeper, key, "k", SMALL_LIMITS, rng, unsigned=number % 2 == 1)
        for form in seen.values():
            shapes["leading zero" if form[0] == 0 else "no leading zero"] += 1
            shapes["odd length" if len(form) % 2 else "even length"] += 1
    assert min(shapes.values()) > 3_000


def test_three_dozen_logins_on_the_usual_group(alice_key: cp.PrivateKey) -> None:
    rng = random.Random(5)
    keys = KeyStore.of(ApiKey.parse("k", base64_of(alice_key.public_key.to_der()), "user"))
    gatekeeper = Gatekeeper(ApiKeysConfig(keys, SessionSettings(enabled=True)), random_below=rng.randrange)
    lengths: set[int] = set()
    for number in range(36):
        seen = _one_login(gatekeeper, alice_key, "k", GroupLimits(), rng, unsigned=number % 2 == 1)
        lengths.update(len(form) for form in seen.values())
    assert lengths >= {256, 257}
