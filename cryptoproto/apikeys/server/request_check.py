"""The check of one request: its credentials, its signature computed while the body arrives, and its sender. No I/O."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ...exceptions import CredentialsRefused
from ..canonical import BodyRole, decoded_parameters, verify
from .session_table import LiveSession, SessionTable

__all__ = ["WRONG_SIGNATURE", "Claim", "Principal", "RequestCheck", "accepted"]

WRONG_SIGNATURE: Final = "the signature is wrong"


@dataclass(frozen=True, slots=True)
class Principal:
    """The sender of a request, in the form that Starlette expects as ``request.user``.

    Attributes:
        key_name: the API key that signed.
        user: the user on whose behalf the key acts.
        authorities: what it may do.
        session_id: of the session flow, ``None`` in the basic flow.
        generation: of the key, see :meth:`KeyStore.generation`; tells a key whose secret has changed since.
    """

    key_name: str
    user: str
    authorities: frozenset[str]
    session_id: str | None = None
    generation: int = field(default=0, repr=False, compare=False)

    @property
    def is_authenticated(self) -> bool:
        """Always true: refused requests have no principal."""
        return True

    @property
    def display_name(self) -> str:
        """The user."""
        return self.user

    @property
    def identity(self) -> str:
        """The user."""
        return self.user


@dataclass(frozen=True, slots=True)
class Claim:
    """Credentials of one request that name a known key or session. Their signature has not been checked yet."""

    principal: Principal
    signature: str = field(repr=False)
    secret: bytes = field(repr=False)
    session: LiveSession | None = None
    nonce: str = ""


class RequestCheck:
    """The check of one request's signature, computed while its body arrives. From :meth:`Gatekeeper.begin`.

    Attributes:
        role: how the signature covers the body.
    """

    __slots__ = ("_allow_repeated", "_claim", "_hmac", "_parameters", "_start", "_table", "role")

    def __init__(
        self,
        claim: Claim,
        table: SessionTable,
        start: Callable[[Iterable[tuple[str, str]]], bytes],
        parameters: list[tuple[str, str]],
        role: BodyRole,
        *,
        allow_repeated: bool,
    ) -> None:
        self.role = role
        self._claim = claim
        self._table = table
        self._start = start
        self._parameters = parameters
        self._allow_repeated = allow_repeated
        if not allow_repeated:
            _refuse_repeated(parameters)
        self._hmac = hmac.new(claim.secret, b"" if role == "parameters" else start(parameters), "sha384")

    def update(self, chunk: bytes) -> None:
        """Take the next part of a body whose role is ``signed``."""
        self._hmac.update(chunk)

    def finish(self, form: bytes | bytearray = b"") -> Principal:
        """Check the signature, then the nonce. Call it once, when the whole body has arrived.

        Args:
            form: the body, if its role is ``parameters``.

        Raises:
            CredentialsRefused: 400 for a wrong signature, a nonce that is not above the last one, or a repeated
                parameter.
        """
        if self.role == "parameters":
            parameters = self._parameters + decoded_parameters(form.decode("utf-8", "replace"))
            if not self._allow_repeated:
                _refuse_repeated(parameters)
            self._hmac.update(self._start(parameters))
        return accepted(self._claim, self._table, self._hmac.digest())


def accepted(claim: Claim, table: SessionTable, digest: bytes) -> Principal:
    """The sender, if the claim's signature is base64 of *digest* and its nonce is new. Uses the nonce up.

    Raises:
        CredentialsRefused: 400 otherwise.
    """
    if not verify(claim.signature, digest):
        raise CredentialsRefused(400, WRONG_SIGNATURE)
    # Not earlier: a forged request must not use up the nonce of an honest one.
    if claim.session is not None and not table.advance(claim.session, int(claim.nonce)):
        raise CredentialsRefused(400, "the nonce is not above the last one; each request needs a greater nonce")
    return claim.principal


def _refuse_repeated(parameters: Iterable[tuple[str, str]]) -> None:
    seen: set[str] = set()
    for name, _ in parameters:
        if name in seen:
            shown = name[:64].encode("unicode_escape").decode("ascii")
            raise CredentialsRefused(
                400, f"the parameter {shown} is given more than once; the signature would cover its first value only"
            )
        seen.add(name)
