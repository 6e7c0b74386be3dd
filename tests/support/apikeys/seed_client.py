"""A client written from the protocol's document with the standard library only. It shares nothing with the package.

RSA signing is spelled out (RFC 8017, section 8.2), since the standard library has none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

_SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


@dataclass
class RsaNumbers:
    """A private key as its two numbers."""

    modulus: int
    exponent: int

    def sign(self, data: bytes) -> bytes:
        size = (self.modulus.bit_length() + 7) // 8
        tail = _SHA256_PREFIX + hashlib.sha256(data).digest()
        padded = b"\x00\x01" + b"\xff" * (size - len(tail) - 3) + b"\x00" + tail
        return pow(int.from_bytes(padded, "big"), self.exponent, self.modulus).to_bytes(size, "big")


def to_bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 8) // 8, "big")


def number_of(text: str) -> int:
    return int.from_bytes(base64.b64decode(text), "big")


FORM = "application/x-www-form-urlencoded"


def payload(method: str, target: str, body: bytes, request_headers: str = "", content_type: str = "") -> bytes:
    path, _, query = target.partition("?")
    if method == "POST" and content_type == FORM:
        query, body = f"{query}&{body.decode()}", b""
    parameters: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        parameters.setdefault(key, value)
    joined = "&".join(f"{key.lower()}={parameters[key]}" for key in sorted(parameters))
    text = method.upper() + unquote(path).lower() + joined + request_headers
    return text.encode() + (body if method.upper() in ("POST", "PUT", "DELETE") else b"")


def signature(data: bytes, secret: bytes) -> str:
    return base64.b64encode(hmac.new(secret, data, hashlib.sha384).digest()).decode()


class SeedClient:
    """Speaks both flows over one HTTP connection at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._session_id = ""
        self._secret = b""
        self._nonce = 0

    def call(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection(*self._address, timeout=30)
        try:
            connection.request(method, target, body=body or None, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def basic(self, key: str, secret: str, method: str, target: str, body: bytes = b"") -> tuple[int, str]:
        signed = signature(payload(method, target, body), secret.encode())
        return self.call(method, target, body, {"X-Deltix-ApiKey": key, "X-Deltix-Signature": signed})

    def login(self, root: str, key: str, private_key: RsaNumbers, *, unsigned_numbers: bool = False) -> None:
        attempt = self._login_call(f"{root}/attempt", {"api_key_id": key})
        base, modulus = number_of(attempt["dh_base"]), number_of(attempt["dh_modulus"])
        exponent = int.from_bytes(secrets.token_bytes(64), "big")
        public = to_bytes(pow(base, exponent, modulus))
        signed = private_key.sign(base64.b64decode(attempt["challenge"]))
        confirm = self._login_call(
            f"{root}/confirm",
            {
                "session_id": attempt["session_id"],
                "signature": base64.b64encode(signed).decode(),
                "dh_key": base64.b64encode(public.lstrip(b"\0") if unsigned_numbers else public).decode(),
            },
        )
        self._session_id = attempt["session_id"]
        self._secret = to_bytes(pow(number_of(confirm["dh_key"]), exponent, modulus))
        self._nonce = 0
        assert int(confirm["keepalive_timeout"]) > 0

    def _login_call(self, target: str, content: dict[str, str]) -> dict[str, str]:
        status, text = self.call("POST", target, json.dumps(content).encode(), {"Content-Type": "application/json"})
        assert status == 200, text
        reply: dict[str, str] = json.loads(text)
        return reply

    def signed(self, method: str, target: str, body: bytes = b"") -> tuple[int, str]:
        self._nonce += 1
        names = f"X-Deltix-Nonce={self._nonce}&X-Deltix-Session-Id={self._session_id}"
        headers = {
            "X-Deltix-Nonce": str(self._nonce),
            "X-Deltix-Session-Id": self._session_id,
            "X-Deltix-Signature": signature(payload(method, target, body, names), self._secret),
        }
        return self.call(method, target, body, headers)
