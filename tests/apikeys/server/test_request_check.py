"""The check of one request: what its signature covers, and repeated parameters."""

from __future__ import annotations

import contextlib

import pytest

from cryptoproto.apikeys.server import ApiKeysConfig, Gatekeeper, KeyStore, Principal
from tests.support.apikeys.refusals import refused
from tests.support.apikeys.samples import AUTH


def test_a_principal_is_what_starlette_expects(basic_gatekeeper: Gatekeeper) -> None:
    principal = basic_gatekeeper.check(basic_gatekeeper.claim(AUTH.headers("GET", "/a")), "GET", "/a")
    assert principal == Principal("TEST_API_KEY", "admin", frozenset({"TB_ALLOW_READ", "TB_ALLOW_WRITE"}))
    assert (principal.is_authenticated, principal.display_name, principal.identity) == (True, "admin", "admin")


@pytest.mark.parametrize("method", ["post", "Post", "put", "delete"])
def test_a_method_in_lower_case_does_not_leave_the_body_unsigned(basic_gatekeeper: Gatekeeper, method: str) -> None:
    headers = AUTH.headers(method, "/a", b"one")
    assert basic_gatekeeper.check(basic_gatekeeper.claim(headers), method, "/a", "", b"one")
    for body in (b"two", b""):
        with refused(400, "signature is wrong"):
            basic_gatekeeper.check(basic_gatekeeper.claim(headers), method, "/a", "", body)


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("query", "body", "name"),
    [
        ("a=1&a=2", b"", "a"),
        ("a=1&b=3&a=1", b"", "a"),
        ("a=1&%61=2", b"", "a"),
        ("a=1", b"a=2", "a"),
        ("", b"b=1&b=2", "b"),
        ("%0A=1&%0a=2", b"", r"\n"),
    ],
)
def test_repeated_parameters_are_refused_unless_allowed(keys: KeyStore, query: str, body: bytes, name: str) -> None:
    """The signature covers the first value, and applications read the last."""
    headers = AUTH.headers("POST", f"/a?{query}", body, content_type=FORM)
    for allowed in (False, True):
        gatekeeper = Gatekeeper(ApiKeysConfig(keys), allow_repeated_parameters=allowed)
        expected = contextlib.nullcontext() if allowed else refused(400, f"parameter {name} is given more than once")
        with expected:
            gatekeeper.check(gatekeeper.claim(headers), "POST", "/a", query, body, content_type=FORM)


def test_parameters_that_differ_in_case_are_not_repeated(basic_gatekeeper: Gatekeeper) -> None:
    headers = AUTH.headers("GET", "/a?a=1&A=2")
    assert basic_gatekeeper.check(basic_gatekeeper.claim(headers), "GET", "/a", "a=1&A=2")


def test_a_body_is_hashed_as_it_arrives(basic_gatekeeper: Gatekeeper) -> None:
    claim = basic_gatekeeper.claim(AUTH.headers("PUT", "/a?b=1", b"one two"))
    for parts, right in (((b"one ", b"", b"two"), True), ((b"one", b"two"), False)):
        check = basic_gatekeeper.begin(claim, "PUT", "/a", "b=1")
        assert check.role == "signed"
        for part in parts:
            check.update(part)
        with contextlib.nullcontext() if right else refused(400, "signature is wrong"):
            check.finish()
