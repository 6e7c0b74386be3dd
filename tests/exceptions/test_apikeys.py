"""Errors of API keys, sessions and STOMP."""

from __future__ import annotations

import cryptoproto as cp


def test_a_refused_login_carries_the_status() -> None:
    assert cp.LoginRefused("wrong signature", status=400).status == 400
    assert cp.LoginRefused("no answer").status is None


def test_refused_credentials_carry_what_is_answered() -> None:
    error = cp.CredentialsRefused(401, "unknown key")
    assert (error.status, error.description) == (401, "unknown key")
    assert str(error) == "refused with status 401: unknown key"


def test_a_stomp_error_quotes_header_and_body_once() -> None:
    error = cp.StompError("bad frame", "no destination")
    assert (error.message, error.text) == ("bad frame", "no destination")
    assert str(error) == "the gateway ended the STOMP connection: bad frame (no destination)"
    assert str(cp.StompError("bad frame", "bad frame")) == "the gateway ended the STOMP connection: bad frame"
    assert str(cp.StompError("")) == "the gateway ended the STOMP connection: no reason given"
