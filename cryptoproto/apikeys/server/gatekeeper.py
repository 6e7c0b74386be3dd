"""Decides which requests may pass: checks signatures of both flows and handles logins. No I/O."""

from __future__ import annotations

import binascii
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ...exceptions import CredentialsRefused, DecodeError
from ...messages import MALFORMED
from ..canonical import (
    API_KEY_HEADER,
    NONCE_HEADER,
    PAYLOAD_HEADER,
    SESSION_HEADER,
    SIGNATURE_HEADER,
    basic_connect_payload,
    body_role,
    canonical_payload,
    decoded_parameters,
    session_connect_payload,
    session_headers_payload,
)
from ..diffie_hellman import RandomBelow, from_base64, power, private_exponent, shared_secret, to_base64
from .config import ApiKeysConfig
from .key_store import ApiKey
from .request_check import WRONG_SIGNATURE, Claim, Principal, RequestCheck, accepted
from .session_table import PendingLogin, SessionTable

__all__ = ["CREDENTIAL_HEADERS", "Confirmation", "Gatekeeper"]

CREDENTIAL_HEADERS: Final = (API_KEY_HEADER, SESSION_HEADER, NONCE_HEADER, SIGNATURE_HEADER, PAYLOAD_HEADER)

_NONCE: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_MAXIMUM_NONCE: Final = 2**63 - 1
_SIGNATURE_LENGTH: Final = 64  # base64 of the 48 bytes of HMAC-SHA384

_UNKNOWN_KEY: Final = "unknown API key"
_UNKNOWN_SESSION: Final = "unknown session: it has ended or never existed; log in again"


class _AttemptRequest(msgspec.Struct):
    api_key_id: str


class _ConfirmRequest(msgspec.Struct):
    session_id: str
    signature: str
    dh_key: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A login whose signature was right. What remains is arithmetic, for a worker thread."""

    login: PendingLogin
    key: ApiKey
    their_public: int
    exponent: int = field(repr=False)


class Gatekeeper:
    """Checks the requests of a gateway, in the flow that its configuration asks for.

    Every refusal is a :class:`~cryptoproto.CredentialsRefused` with the status and text of the response. An unknown key
    and a wrong signature are different refusals, as the protocol has it.

    Args:
        config: keys and settings.
        allow_repeated_parameters: accept requests that give a parameter more than once. The signature covers the first
            value, and most frameworks hand out the last, so anyone could append a value to a signed request.
        clock: seconds.
        random_below: the source of private exponents.
        table: the sessions, for other bounds than the usual ones.
    """

    __slots__ = ("_allow_repeated", "_config", "_random_below", "_table")

    def __init__(
        self,
        config: ApiKeysConfig,
        *,
        allow_repeated_parameters: bool = False,
        clock: Callable[[], float] = time.monotonic,
        random_below: RandomBelow = secrets.randbelow,
        table: SessionTable | None = None,
    ) -> None:
        self._config = config
        self._allow_repeated = allow_repeated_parameters
        self._random_below = random_below
        self._table = table if table is not None else SessionTable(config.sessions, clock=clock)

    @property
    def config(self) -> ApiKeysConfig:
        """Keys and settings."""
        return self._config

    @property
    def sessions(self) -> SessionTable:
        """The sessions."""
        return self._table

    # --- signed requests --------------------------------------------------------------------------

    def claim(self, headers: Mapping[str, str]) -> Claim:
        """Read the credentials of a request. It costs little, so call it before the body is read.

        Args:
            headers: names in the protocol's own spelling; see :data:`CREDENTIAL_HEADERS`.

        Raises:
            CredentialsRefused: 401 for no credentials or an unknown key, 400 for an unknown session, headers of both
                flows, or a missing or malformed header.
        """
        if not self._config.sessions.enabled:
            return self._claim_key(headers)
        if self._config.both_flows and API_KEY_HEADER in headers:
            if SESSION_HEADER in headers:
                raise CredentialsRefused(400, f"send either {API_KEY_HEADER} or {SESSION_HEADER}, not both")
            return self._claim_key(headers)
        return self._claim_session(headers)

    def begin(self, claim: Claim, method: str, path: str, query: str = "", *, content_type: str = "") -> RequestCheck:
        """Begin the check of a request whose body is still to come.

        Args:
            claim: from :meth:`claim`.
            method: of the request, in any case.
            path: from :func:`~cryptoproto.apikeys.canonical.canonical_path`, without a proxy's prefix.
            query: URL-encoded, without the question mark.
            content_type: the ``Content-Type`` header.

        Raises:
            CredentialsRefused: 400 for a parameter that is given more than once.
        """
        headers = "" if claim.session is None else session_headers_payload(claim.nonce, claim.session.session_id)
        role = body_role(method, content_type)

        def start(parameters: Iterable[tuple[str, str]]) -> bytes:
            return canonical_payload(method, path, parameters, headers=headers, role=role)

        return RequestCheck(
            claim, self._table, start, decoded_parameters(query), role, allow_repeated=self._allow_repeated
        )

    def check(
        self, claim: Claim, method: str, path: str, query: str = "", body: bytes = b"", *, content_type: str = ""
    ) -> Principal:
        """Check a request whose body is there: :meth:`begin` and :meth:`RequestCheck.finish` in one.

        Raises:
            CredentialsRefused: as for these.
        """
        check = self.begin(claim, method, path, query, content_type=content_type)
        if check.role == "signed":
            check.update(body)
        return check.finish(body)

    def check_connect(self, headers: Mapping[str, str]) -> Principal:
        """Check the headers of a STOMP CONNECT.

        Raises:
            CredentialsRefused: as for :meth:`claim` and :meth:`check`.
        """
        claim = self.claim(headers)
        if claim.session is not None:
            return self._check(claim, session_connect_payload(claim.nonce, claim.session.session_id))
        payload = headers.get(PAYLOAD_HEADER)
        if payload is None:
            raise CredentialsRefused(400, f"the header {PAYLOAD_HEADER} is missing")
        return self._check(claim, basic_connect_payload(payload, claim.principal.key_name))

    def still_stands(self, principal: Principal) -> bool:
        """Whether the key of an earlier check still exists and is the same: secret, user and authorities."""
        return 0 != self._config.keys.generation(principal.key_name) == principal.generation

    def _principal(self, key: ApiKey, session_id: str | None = None) -> Principal:
        return Principal(key.name, key.user, key.authorities, session_id, self._config.keys.generation(key.name))

    def _claim_key(self, headers: Mapping[str, str]) -> Claim:
        name = headers.get(API_KEY_HEADER)
        if name is None:
            raise CredentialsRefused(401, f"no credentials: send {API_KEY_HEADER} and {SIGNATURE_HEADER}")
        key = self._config.keys.get(name)
        if key is None or key.secret is None:
            raise CredentialsRefused(401, _UNKNOWN_KEY)
        return Claim(self._principal(key), _signature_of(headers), key.secret)

    def _claim_session(self, headers: Mapping[str, str]) -> Claim:
        session_id = headers.get(SESSION_HEADER)
        if session_id is None:
            raise CredentialsRefused(
                401, f"no credentials: log in, then send {SESSION_HEADER}, {NONCE_HEADER} and {SIGNATURE_HEADER}"
            )
        session = self._table.find(session_id)
        if session is not None and not self._config.keys.is_current(session.key):
            self._table.end(session_id)  # the key was removed or changed since
            session = None
        if session is None:
            raise CredentialsRefused(400, _UNKNOWN_SESSION)
        nonce = headers.get(NONCE_HEADER)
        if nonce is None:
            raise CredentialsRefused(400, f"the header {NONCE_HEADER} is missing")
        if not _NONCE.fullmatch(nonce) or not 0 < int(nonce) <= _MAXIMUM_NONCE:
            raise CredentialsRefused(400, f"{NONCE_HEADER} must be a whole number from 1 to {_MAXIMUM_NONCE}")
        key = session.key
        return Claim(self._principal(key, session_id), _signature_of(headers), session.secret, session, nonce)

    def _check(self, claim: Claim, payload: bytes) -> Principal:
        return accepted(claim, self._table, hmac.digest(claim.secret, payload, "sha384"))

    # --- logins -----------------------------------------------------------------------------------

    def attempt(self, body: bytes) -> dict[str, str]:
        """The reply to a login attempt.

        Raises:
            CredentialsRefused: 400 for an unreadable body, 401 for a key that is unknown or has no public key.
        """
        request = _decode(body, _AttemptRequest)
        key = self._config.keys.get(request.api_key_id)
        if key is None or key.public_key is None:
            raise CredentialsRefused(401, _UNKNOWN_KEY)
        login = self._table.begin(request.api_key_id)
        group = self._config.sessions.group
        return {
            "session_id": login.session_id,
            "challenge": binascii.b2a_base64(login.challenge, newline=False).decode("ascii"),
            "dh_base": to_base64(group.base),
            "dh_modulus": to_base64(group.modulus),
            "ttl": str(self._config.sessions.keep_alive_login_ms),
        }

    def confirm(self, body: bytes) -> Confirmation:
        """The first half of a confirmation, which is quick. A challenge makes one session at most.

        Raises:
            CredentialsRefused: 400 for an unreadable body, an unknown session, a wrong signature, or a public value
                outside 2…p−2; 401 for a key that was removed in the meantime.
        """
        request = _decode(body, _ConfirmRequest)
        group = self._config.sessions.group
        try:
            signature = binascii.a2b_base64(request.signature, strict_mode=True)
        except ValueError:
            raise CredentialsRefused(400, "signature is not base64") from None
        try:
            theirs = from_base64(request.dh_key, "dh_key", maximum_bits=group.modulus.bit_length() + 8)
            group.check_public(theirs, "value dh_key")
        except DecodeError as error:
            raise CredentialsRefused(400, str(error)) from None
        digest = self._table.key_digest(request.session_id)
        if digest is None:
            raise CredentialsRefused(400, _UNKNOWN_SESSION)
        key = self._config.keys.get_by_digest(digest)
        if key is None or key.public_key is None:
            raise CredentialsRefused(401, _UNKNOWN_KEY)
        login = self._table.pending(request.session_id, key.name)
        if login is None:
            raise CredentialsRefused(400, _UNKNOWN_SESSION)
        if not key.public_key.verify_pkcs1(signature, login.challenge):
            raise CredentialsRefused(400, WRONG_SIGNATURE)
        if not self._table.confirm(login):
            raise CredentialsRefused(503, "too many logins at once; try again in a few seconds")
        exponent = private_exponent(group, self._random_below, size_bytes=self._config.sessions.dh_secret_size)
        return Confirmation(login, key, theirs, exponent)

    def exchange(self, confirmation: Confirmation) -> tuple[str, bytes]:
        """Return our public value in base64, and the secret. Takes tens of milliseconds.

        It changes no state, so it can run in any thread.

        Raises:
            CredentialsRefused: 400 if the secret would be predictable.
        """
        group = self._config.sessions.group
        try:
            secret = shared_secret(group, confirmation.their_public, confirmation.exponent)
        except DecodeError as error:
            raise CredentialsRefused(400, str(error)) from None
        return to_base64(power(group.base, confirmation.exponent, group.modulus)), secret

    def establish(self, confirmation: Confirmation, exchanged: tuple[str, bytes]) -> dict[str, str]:
        """The second half of a confirmation: make the session live and return the reply."""
        public, secret = exchanged
        self._table.establish(confirmation.login.session_id, confirmation.key, secret)
        return {"dh_key": public, "keepalive_timeout": str(self._config.sessions.keep_alive_ms)}

    def log_out(self, principal: Principal) -> None:
        """End the principal's session."""
        if principal.session_id is not None:
            self._table.end(principal.session_id)

    def __repr__(self) -> str:
        return f"<Gatekeeper {'sessions' if self._config.sessions.enabled else 'basic'}>"


def _signature_of(headers: Mapping[str, str]) -> str:
    signature = headers.get(SIGNATURE_HEADER)
    if signature is None:
        raise CredentialsRefused(400, f"the header {SIGNATURE_HEADER} is missing")
    try:
        well_formed = len(signature) == _SIGNATURE_LENGTH and binascii.a2b_base64(signature, strict_mode=True)
    except ValueError:
        well_formed = False
    if not well_formed:
        raise CredentialsRefused(400, f"{SIGNATURE_HEADER} is not base64 of an HMAC-SHA384")
    return signature


def _decode(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise CredentialsRefused(400, f"the request is malformed: {error}") from None
    except MALFORMED:
        raise CredentialsRefused(400, "the request is not valid JSON") from None
