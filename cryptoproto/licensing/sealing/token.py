"""The license token: what the manager grants, and the check that it is for this gateway."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from ...exceptions import InvalidToken, MalformedMessage
from ..request.codec import decode, encode
from ..request.layout import LICENSE_TOKEN
from ..request.logins import config_hash
from .key_text import decode_key, encode_key

__all__ = ["LicenseToken", "TokenBinding"]

_SECOND: Final = 1_000_000_000
_LONGEST_LIFE_NS: Final = 10 * 366 * 86_400 * _SECOND  # a longer life must be a mistake
_CLOCK_TOLERANCE_NS: Final = 300 * _SECOND  # far more than NTP leaves; a wrong time zone is not accepted


@dataclass(frozen=True, slots=True)
class TokenBinding:
    """What a token is for: a gateway's key, a package with a set of logins, an environment."""

    public_key: str
    package: str
    config_hash: bytes
    is_uat: bool = False

    @classmethod
    def of(cls, public_key: str, package: str, logins: tuple[str, ...], *, is_uat: bool) -> Self:
        """The binding of a gateway with these logins."""
        return cls(public_key, package, config_hash(package, logins), is_uat)


@dataclass(frozen=True, slots=True)
class LicenseToken:
    """Permission to run until a moment.

    Attributes:
        token_id: sixteen random bytes as hex; identifies the token in logs.
        issued_at_utc_ns: when the manager issued it, by the manager's clock, in nanoseconds since 1970.
        expires_at_utc_ns: when it expires. It is valid before this time and not at it.
        binding: what it is for.
        request_nonce: the nonce of the request that it answers; ``None`` if it was made by hand.
    """

    token_id: str
    issued_at_utc_ns: int
    expires_at_utc_ns: int
    binding: TokenBinding
    request_nonce: bytes | None = None

    @classmethod
    def issue(cls, binding: TokenBinding, *, now_ns: int, expires_ns: int, request_nonce: bytes | None) -> Self:
        """A new token with a random id."""
        return cls(secrets.token_hex(16), now_ns, expires_ns, binding, request_nonce)

    @property
    def expires_at(self) -> dt.datetime:
        """When it expires, with time zone UTC."""
        return _moment(self.expires_at_utc_ns)

    @property
    def issued_at(self) -> dt.datetime:
        """When it was issued, with time zone UTC."""
        return _moment(self.issued_at_utc_ns)

    @property
    def life_ns(self) -> int:
        """The time from its issue until it expires."""
        return self.expires_at_utc_ns - self.issued_at_utc_ns

    def encode(self) -> bytes:
        """The bytes of the token, which are signed."""
        return encode(
            LICENSE_TOKEN,
            {
                "token_id": bytes.fromhex(self.token_id),
                "issued_at_utc": self.issued_at_utc_ns,
                "expires_at_utc": self.expires_at_utc_ns,
                "public_key": decode_key(self.binding.public_key, "public key"),
                "package_name": self.binding.package,
                "config_hash": self.binding.config_hash,
                "is_uat": self.binding.is_uat,
                "request_nonce": self.request_nonce,
            },
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """A token from its bytes, after checks of its structure and times.

        Raises:
            MalformedMessage: the bytes are not a LicenseToken.
        """
        values = cast("dict[str, Any]", decode(LICENSE_TOKEN, message))
        issued, expires = values["issued_at_utc"], values["expires_at_utc"]
        if not (issued > 0 and 0 < expires - issued <= _LONGEST_LIFE_NS):
            raise MalformedMessage("issued_at_utc, expires_at_utc: not valid times")
        return cls(
            values["token_id"].hex(),
            issued,
            expires,
            TokenBinding(
                encode_key(values["public_key"]), values["package_name"], values["config_hash"], values["is_uat"]
            ),
            values["request_nonce"],
        )

    def check_usable(self, binding: TokenBinding, now_ns: int) -> None:
        """Check that the token is for *binding* and is valid at *now_ns*.

        Raises:
            InvalidToken: it is not; the text says why.
        """
        ours, theirs = binding, self.binding
        if theirs.public_key != ours.public_key:
            raise InvalidToken("the token is for another public key")
        if theirs.package != ours.package:
            raise InvalidToken(f"the token is for package {theirs.package!r}, not for {ours.package!r}")
        if theirs.config_hash != ours.config_hash:
            raise InvalidToken("the token is for another set of logins")
        if theirs.is_uat != ours.is_uat:
            raise InvalidToken("the token is for the other environment (UAT or production)")
        if now_ns >= self.expires_at_utc_ns:
            raise InvalidToken(f"the token expired at {self.expires_at:%Y-%m-%d %H:%M:%S} UTC")
        if self.issued_at_utc_ns - now_ns > _CLOCK_TOLERANCE_NS:
            raise InvalidToken(
                f"the token was issued at {self.issued_at:%Y-%m-%d %H:%M:%S} UTC, which is in the future by the "
                f"clock of this machine; set the clock"
            )


def _moment(time_ns: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=time_ns // 1000)
