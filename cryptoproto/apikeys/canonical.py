"""The canonical payload that a signature covers, for requests and for STOMP CONNECT, and its HMAC-SHA384.

Both ends use this module, so they cannot disagree. It uses no socket, no clock and no third-party package.

Deployed gateways do three things that their documentation omits, and so does this module: form-encoded POST
bodies count as parameters, parameters with a broken escape are ignored, and paths are signed without matrix parameters
and double slashes.
"""

from __future__ import annotations

import binascii
import hmac
import re
from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from ..arguments import check_http_url
from ..exceptions import ConfigurationError

__all__ = [
    "API_KEY_HEADER",
    "NONCE_HEADER",
    "PAYLOAD_HEADER",
    "SESSION_HEADER",
    "SIGNATURE_HEADER",
    "BodyRole",
    "basic_connect_payload",
    "body_role",
    "canonical_parameters",
    "canonical_path",
    "canonical_payload",
    "decoded_parameters",
    "payload_of_url",
    "session_connect_payload",
    "session_headers_payload",
    "sign",
    "verify",
    "without_broken_escapes",
    "without_path_noise",
    "without_prefix",
]

API_KEY_HEADER: Final = "X-Deltix-ApiKey"
SIGNATURE_HEADER: Final = "X-Deltix-Signature"
PAYLOAD_HEADER: Final = "X-Deltix-Payload"
SESSION_HEADER: Final = "X-Deltix-Session-Id"
NONCE_HEADER: Final = "X-Deltix-Nonce"

BodyRole = Literal["signed", "parameters", "unsigned"]
"""How a signature covers a body: as bytes, as parameters, or not at all."""

_SIGNED_BODY_METHODS: Final = frozenset({"POST", "PUT", "DELETE"})
_FORM: Final = "application/x-www-form-urlencoded"
_BROKEN_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_MATRIX_PARAMETERS: Final = re.compile(";[^/]*")
_SLASHES: Final = re.compile("//+")


def body_role(method: str, content_type: str = "") -> BodyRole:
    """How a signature covers the body of a request. The body of a PATCH or GET is not covered.

    Args:
        method: in any case.
        content_type: the ``Content-Type`` header, or empty. A form counts in a POST only.
    """
    method = method.upper()
    if method == "POST" and content_type.partition(";")[0].strip() == _FORM:
        return "parameters"
    return "signed" if method in _SIGNED_BODY_METHODS else "unsigned"


def without_broken_escapes(encoded: str) -> str:
    """URL-encoded parameters without those that have a broken escape such as ``%zz``."""
    if "%" not in encoded or not _BROKEN_ESCAPE.search(encoded):
        return encoded
    return "&".join(one for one in encoded.split("&") if not _BROKEN_ESCAPE.search(one))


def decoded_parameters(encoded: str) -> list[tuple[str, str]]:
    """Names and values of URL-encoded parameters, in their order.

    Parameters without a name or with a broken escape are left out.
    """
    if not encoded:
        return []
    return [pair for pair in parse_qsl(without_broken_escapes(encoded), keep_blank_values=True) if pair[0]]


def canonical_parameters(parameters: Iterable[tuple[str, str]]) -> str:
    """The part of the payload for parameters: ``key=value`` pairs joined with ``&``.

    Sorted by key as written, then each key in lower case; values keep their case. Only the first value of a repeated
    key is signed.
    """
    first: dict[str, str] = {}
    for key, value in parameters:
        first.setdefault(key, value)
    # The gateway sorts by UTF-16 code units, which is another order above the basic plane.
    keys = sorted(first, key=None if all(map(str.isascii, first)) else _utf16_order)
    return "&".join([f"{key.lower()}={first[key]}" for key in keys])


def _utf16_order(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def without_path_noise(encoded_path: str) -> str:
    """A path without matrix parameters (``/a;v=1/b``) and double slashes, still URL-encoded."""
    if ";" in encoded_path:
        encoded_path = _MATRIX_PARAMETERS.sub("", encoded_path)
    return _SLASHES.sub("/", encoded_path) if "//" in encoded_path else encoded_path


def canonical_path(encoded_path: str) -> str:
    """A path as it is signed, but for its case: URL-decoded, without matrix parameters and double slashes."""
    path = without_path_noise(encoded_path)
    return unquote(path) if "%" in path else path


def session_headers_payload(nonce: int | str, session_id: str) -> str:
    """The part of the payload for the two headers of a session."""
    return f"{NONCE_HEADER}={nonce}&{SESSION_HEADER}={session_id}"


def canonical_payload(
    method: str,
    path: str,
    parameters: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    headers: str = "",
    role: BodyRole = "signed",
) -> bytes:
    """The bytes that the signature of a request covers.

    A signed body stands at the end, so an HMAC of this payload without body can be continued with the body's bytes.

    Args:
        method: in any case.
        path: from :func:`canonical_path`, without a proxy's prefix.
        parameters: from :func:`decoded_parameters`: those of the query, then those of a form.
        body: the body as it is sent.
        headers: :func:`session_headers_payload` in the session flow, empty in the basic flow.
        role: from :func:`body_role`. The body is part of the payload only if it is ``signed``.
    """
    text = f"{method.upper()}{path.lower()}{canonical_parameters(parameters)}{headers}"
    payload = text.encode("utf-8", "surrogatepass")
    return payload + body if role == "signed" else payload


_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def payload_of_url(
    method: str, url: str, body: bytes = b"", *, content_type: str = "", headers: str = "", path_prefix: str = ""
) -> bytes:
    """:func:`canonical_payload` of a whole URL, or of a target that begins with a slash.

    Args:
        method: in any case.
        url: as it will be sent. A fragment is ignored.
        body: what will be sent.
        content_type: the ``Content-Type`` that will be sent with it.
        headers: as for :func:`canonical_payload`.
        path_prefix: what a proxy removes from the front of the path before the application sees it.

    Raises:
        ConfigurationError: the URL has neither a scheme nor a leading slash, or is invalid; or the method is.
    """
    check_method(method)
    if url.startswith("/"):  # urlsplit would take the first segment of //a/b for a host
        path, _, query = url.partition("#")[0].partition("?")
    else:
        if "://" not in url:
            raise ConfigurationError("the URL must be complete, such as http://host/path, or begin with a slash")
        check_http_url(url)
        parts = urlsplit(url)
        path, query = parts.path or "/", parts.query
    path = canonical_path(path)
    if path_prefix:
        path = without_prefix(path, path_prefix)
    role = body_role(method, content_type)
    parameters = decoded_parameters(query)
    if role == "parameters":
        parameters += decoded_parameters(body.decode("utf-8", "replace"))
    return canonical_payload(method, path, parameters, body, headers=headers, role=role)


def check_method(method: str) -> str:
    """Check the method of a request, and return it.

    Raises:
        ConfigurationError: it is not a token of HTTP (RFC 9110, section 5.6.2).
    """
    if not _TOKEN.fullmatch(method):
        raise ConfigurationError(f"{method!r} is not a method of HTTP, such as GET or POST")
    return method


def without_prefix(path: str, prefix: str) -> str:
    """*path* without the leading *prefix* (``/name``), if it begins with it as whole segments."""
    if prefix and path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
        return path[len(prefix) :] or "/"
    return path


def basic_connect_payload(payload: str, api_key: str) -> bytes:
    """What a STOMP CONNECT of the basic flow signs: the random *payload* and the name of the key."""
    return f"CONNECT{PAYLOAD_HEADER}={payload}&{API_KEY_HEADER}={api_key}".encode("utf-8", "surrogatepass")


def session_connect_payload(nonce: int | str, session_id: str) -> bytes:
    """What a STOMP CONNECT of the session flow signs."""
    return f"CONNECT{session_headers_payload(nonce, session_id)}".encode("utf-8", "surrogatepass")


def sign(payload: bytes, secret: bytes) -> str:
    """Base64 of HMAC-SHA384 of *payload* with *secret*: 64 characters."""
    return _encoded(hmac.digest(secret, payload, "sha384"))


def verify(signature: str, digest: bytes) -> bool:
    """Whether *signature* is base64 of the HMAC *digest*. Takes the same time wherever they differ."""
    return hmac.compare_digest(_encoded(digest).encode("ascii"), signature.encode("utf-8", "surrogatepass"))


def _encoded(digest: bytes) -> str:
    return binascii.b2a_base64(digest, newline=False).decode("ascii")
