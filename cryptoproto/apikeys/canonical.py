"""What exactly is signed: the canonical payload of a request and of a STOMP CONNECT, and its HMAC-SHA384.

Both ends use this one module, so they cannot disagree. It touches no socket, no clock and no third-party package.
"""

from __future__ import annotations

import binascii
import hmac
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = [
    "API_KEY_HEADER",
    "NONCE_HEADER",
    "PAYLOAD_HEADER",
    "SESSION_HEADER",
    "SIGNATURE_HEADER",
    "SIGNED_BODY_METHODS",
    "basic_connect_payload",
    "canonical_payload",
    "canonical_query",
    "payload_of_url",
    "session_connect_payload",
    "session_headers_payload",
    "sign",
    "verify",
    "without_prefix",
]

API_KEY_HEADER: Final = "X-Deltix-ApiKey"
SIGNATURE_HEADER: Final = "X-Deltix-Signature"
PAYLOAD_HEADER: Final = "X-Deltix-Payload"
SESSION_HEADER: Final = "X-Deltix-Session-Id"
NONCE_HEADER: Final = "X-Deltix-Nonce"

SIGNED_BODY_METHODS: Final = frozenset({"POST", "PUT", "DELETE"})
"""The methods whose body is part of the payload; a PATCH or GET body is sent unsigned, as the gateway has it."""


def canonical_query(query: str) -> str:
    """The query part of the payload: ``key=value`` pairs joined with ``&``.

    Sorted by key as written, then each key is lower-cased; values are URL-decoded and keep their case. A key that
    comes several times is signed with its first value, one without a name not at all.

    Args:
        query: as it stands in the URL, still URL-encoded, without the question mark.
    """
    if not query:
        return ""
    first: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key:
            first.setdefault(key, value)
    # The gateway sorts by UTF-16 code units, which differs from code points above the basic plane.
    plain = query.isascii() and "%" not in query
    keys = sorted(first) if plain else sorted(first, key=_utf16_order)
    return "&".join([f"{key.lower()}={first[key]}" for key in keys])


def _utf16_order(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def session_headers_payload(nonce: int | str, session_id: str) -> str:
    """The part of the payload that stands for a session's two headers."""
    return f"{NONCE_HEADER}={nonce}&{SESSION_HEADER}={session_id}"


def canonical_payload(method: str, path: str, query: str = "", body: bytes = b"", *, headers: str = "") -> bytes:
    """The bytes that a request's signature covers.

    Args:
        method: in any case.
        path: URL-decoded, as the application behind every proxy sees it.
        query: URL-encoded, without the question mark.
        body: what is sent; ignored for methods other than POST, PUT and DELETE.
        headers: :func:`session_headers_payload` in the session flow, empty in the basic flow.
    """
    method = method.upper()
    text = f"{method}{path.lower()}{canonical_query(query)}{headers}".encode("utf-8", "surrogatepass")
    return text + body if body and method in SIGNED_BODY_METHODS else text


def payload_of_url(method: str, url: str, body: bytes = b"", *, headers: str = "", path_prefix: str = "") -> bytes:
    """:func:`canonical_payload` of a whole URL, or of a target that begins with a slash.

    Args:
        method: in any case.
        url: as it will be sent; a fragment is no part of it.
        body: what will be sent.
        headers: as for :func:`canonical_payload`.
        path_prefix: what a proxy takes from the front of the path before the application sees it.
    """
    if url.startswith("/"):  # urlsplit would take the first segment of //a/b for a host
        path, _, query = url.partition("#")[0].partition("?")
    else:
        parts = urlsplit(url)
        path, query = parts.path or "/", parts.query
    if "%" in path:
        path = unquote(path)
    if path_prefix:
        path = without_prefix(path, path_prefix)
    return canonical_payload(method, path, query, body, headers=headers)


def without_prefix(path: str, prefix: str) -> str:
    """*path* without the leading *prefix* (``/name``), where it has it as whole segments."""
    if prefix and path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
        return path[len(prefix) :] or "/"
    return path


def basic_connect_payload(payload: str, api_key: str) -> bytes:
    """What signs a STOMP CONNECT in the basic flow: the random *payload* and the name of the key."""
    return f"CONNECT{PAYLOAD_HEADER}={payload}&{API_KEY_HEADER}={api_key}".encode("utf-8", "surrogatepass")


def session_connect_payload(nonce: int | str, session_id: str) -> bytes:
    """What signs a STOMP CONNECT in the session flow."""
    return f"CONNECT{session_headers_payload(nonce, session_id)}".encode("utf-8", "surrogatepass")


def sign(payload: bytes, secret: bytes) -> str:
    """Base64 of HMAC-SHA384 of *payload* under *secret*: 64 characters."""
    return binascii.b2a_base64(hmac.digest(secret, payload, "sha384"), newline=False).decode("ascii")


def verify(signature: str, payload: bytes, secret: bytes) -> bool:
    """Whether *signature* is :func:`sign` of *payload*, in a time that does not depend on where it differs."""
    expected = binascii.b2a_base64(hmac.digest(secret, payload, "sha384"), newline=False)
    return hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass"))
