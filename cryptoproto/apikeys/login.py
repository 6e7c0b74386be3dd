"""The client's half of a login, without I/O: replies in, requests and the session's secret out.

:meth:`ClientLogin.answer` and :meth:`ClientLogin.finish` compute for tens of milliseconds with the customary group. Run
them in a worker thread.
"""

from __future__ import annotations

import binascii
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ..exceptions import ConfigurationError, DecodeError
from ..keys import PrivateKey
from ..messages import MALFORMED
from .diffie_hellman import (
    DEFAULT_LIMITS,
    Group,
    GroupLimits,
    RandomBelow,
    from_base64,
    power,
    private_exponent,
    shared_secret,
    to_base64,
)

__all__ = ["MINIMUM_KEY_BITS", "ClientLogin", "LoginOutcome", "api_private_key", "attempt_body"]

MINIMUM_KEY_BITS: Final = 1024
"""Old API keys have 1024 bits. New ones should have 2048 or more."""

_MAXIMUM_CHALLENGE: Final = 65_536  # bytes; the customary challenge has 2048
_MAXIMUM_REPLY: Final = 262_144  # characters: room for the challenge and numbers of 8192 bits, in base64
# Characters that headers of HTTP and STOMP carry without escapes.
_SESSION_ID: Final = re.compile(r"[\x21-\x7e]{1,256}")


class _AttemptReply(msgspec.Struct):
    session_id: str
    challenge: str
    dh_base: str
    dh_modulus: str
    # `ttl` is not read: some gateways send a duration, others a point in time.


class _ConfirmReply(msgspec.Struct):
    dh_key: str
    keepalive_timeout: int | float | str


@dataclass(frozen=True, slots=True)
class LoginOutcome:
    """What both ends know after a login."""

    session_id: str
    secret: bytes
    keepalive_s: float

    def __repr__(self) -> str:
        return f"<LoginOutcome keepalive_s={self.keepalive_s}>"


def attempt_body(api_key: str) -> bytes:
    """The JSON of the login attempt."""
    return msgspec.json.encode({"api_key_id": api_key})


def api_private_key(key: PrivateKey | str | bytes) -> PrivateKey:
    """The private key of an API key: a ``PrivateKey``, PEM, DER, or base64 of DER as gateways issue it.

    Raises:
        ConfigurationError: it is not an RSA private key of at least 1024 bits.
    """
    if isinstance(key, PrivateKey):
        return key
    if not isinstance(key, str | bytes):
        raise ConfigurationError("the private key must be a PrivateKey, base64 text or DER bytes")
    if "-----BEGIN" in (key if isinstance(key, str) else key.decode("latin-1")):
        return PrivateKey.from_pem(key.encode() if isinstance(key, str) else key)
    return PrivateKey.from_der(key, minimum_bits=MINIMUM_KEY_BITS)


class ClientLogin:
    """One login, starting with the reply to the attempt.

    Args:
        attempt_reply: the body of the gateway's answer to the attempt.
        limits: which moduli are accepted.
        random_below: the source of the private exponent.

    Raises:
        DecodeError: the reply is unreadable.
    """

    __slots__ = ("_challenge", "_exponent", "_group", "_limits", "_session_id")

    def __init__(
        self,
        attempt_reply: bytes,
        *,
        limits: GroupLimits = DEFAULT_LIMITS,
        random_below: RandomBelow = secrets.randbelow,
    ) -> None:
        reply = _decode(attempt_reply, _AttemptReply, "the reply to the login attempt")
        if not _SESSION_ID.fullmatch(reply.session_id):
            raise DecodeError("the reply to the login attempt has a session id that no header can carry")
        self._session_id = reply.session_id
        self._challenge = _challenge(reply.challenge)
        self._limits = limits
        self._group = Group(
            base=from_base64(reply.dh_base, "dh_base", maximum_bits=limits.maximum_bits),
            modulus=from_base64(reply.dh_modulus, "dh_modulus", maximum_bits=limits.maximum_bits),
        )
        self._exponent = private_exponent(self._group, random_below)

    def answer(self, key: PrivateKey) -> bytes:
        """The JSON of the confirmation: the signed challenge and our public value. Slow, see the module.

        Raises:
            DecodeError: the gateway's group is unsafe; see :class:`~cryptoproto.apikeys.GroupLimits`.
        """
        self._group.check(self._limits)
        public = power(self._group.base, self._exponent, self._group.modulus)
        signature = binascii.b2a_base64(key.sign_pkcs1(self._challenge), newline=False)
        return msgspec.json.encode(
            {"session_id": self._session_id, "signature": signature.decode("ascii"), "dh_key": to_base64(public)}
        )

    def finish(self, confirm_reply: bytes) -> LoginOutcome:
        """The session, from the gateway's reply to the confirmation. Slow, see the module.

        Raises:
            DecodeError: the reply is unreadable, or the gateway's public value is outside 2…p−2.
        """
        reply = _decode(confirm_reply, _ConfirmReply, "the reply to the login confirmation")
        theirs = from_base64(reply.dh_key, "dh_key", maximum_bits=self._limits.maximum_bits)
        return LoginOutcome(
            session_id=self._session_id,
            secret=shared_secret(self._group, theirs, self._exponent),
            keepalive_s=_milliseconds(reply.keepalive_timeout, "keepalive_timeout") / 1000,
        )

    def __repr__(self) -> str:
        return "<ClientLogin>"


def _decode(body: bytes, kind: type[Any], what: str) -> Any:
    if len(body) > _MAXIMUM_REPLY:
        raise DecodeError(f"{what} has {len(body)} bytes; the maximum is {_MAXIMUM_REPLY}")
    try:
        return msgspec.json.decode(body, type=kind)
    except MALFORMED as error:
        raise DecodeError(f"{what} is unreadable: {error}") from None


def _challenge(text: str) -> bytes:
    try:
        challenge = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise DecodeError("the challenge is not base64") from None
    # A short challenge could be a meaningful message, which our key would sign.
    if not 16 <= len(challenge) <= _MAXIMUM_CHALLENGE:
        raise DecodeError(f"the challenge has {len(challenge)} bytes, expected 16 to {_MAXIMUM_CHALLENGE}")
    return challenge


def _milliseconds(value: float | str, what: str) -> float:
    """A number, which some gateways write as a JSON number and others as a string."""
    try:
        number = float(value)
    except (ValueError, OverflowError):  # the second for an int of hundreds of digits
        raise DecodeError(f"{what} is not a number") from None
    if not 1 <= number <= 1e12:  # also false for NaN
        raise DecodeError(f"{what} of {number:g} ms is out of bounds")
    return number
