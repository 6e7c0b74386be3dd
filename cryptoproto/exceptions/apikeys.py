"""Errors of API keys: logins, sessions and STOMP, on the client's and the gateway's side."""

from __future__ import annotations

from .base import CryptoprotoError
from .connection import HandshakeError

__all__ = ["CredentialsRefused", "LoginRefused", "StompError"]


class LoginRefused(HandshakeError):
    """A gateway refused the login: the key is unknown, a signature is wrong, or its answer cannot be trusted.

    Attributes:
        status: the HTTP status of the refusal, ``None`` if it did not come as an HTTP response.
    """

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class CredentialsRefused(CryptoprotoError):
    """Our own gateway refuses a request; becomes the response ``{error, error_description}``.

    Attributes:
        status: the HTTP status to answer with.
        description: the text for the client. It contains nothing that the client does not already know.
    """

    def __init__(self, status: int, description: str) -> None:
        super().__init__(status, description)
        self.status = status
        self.description = description

    def __str__(self) -> str:
        return f"refused with status {self.status}: {self.description}"


class StompError(CryptoprotoError):
    """The gateway answered with a STOMP ERROR frame, which ends the connection.

    Attributes:
        message: the frame's ``message`` header.
        text: the frame's body, empty if it is not readable text.
    """

    def __init__(self, message: str, text: str = "") -> None:
        super().__init__(message, text)
        self.message = message
        self.text = text

    def __str__(self) -> str:
        details = f" ({self.text})" if self.text and self.text != self.message else ""
        return f"the gateway ended the STOMP connection: {self.message or 'no reason given'}{details}"
