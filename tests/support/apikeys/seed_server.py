"""A gateway written from the protocol's document with the standard library only. It shares nothing with the package.

RSA verification is spelled out. Replies hold numbers as JSON numbers, where our own gateway writes strings.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.apikeys.seed_client import number_of, payload, signature, to_bytes

MODULUS = int(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b"
    "302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe6"
    "49286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d"
    "670c354e4abc9804f1746c08ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718"
    "3995497cea956ae515d2261898fa051015728e5a8aacaa68ffffffffffffffff",
    16,
)
_SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


class Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


class SeedServer:
    """The state of the handler below: keys, logins in progress, sessions."""

    def __init__(self, secrets_by_key: dict[str, str], public_modulus: int) -> None:
        self.secrets_by_key = secrets_by_key
        self.public_modulus = public_modulus
        self.pending: dict[str, bytes] = {}
        self.sessions: dict[str, tuple[bytes, int]] = {}
        self.lock = threading.Lock()

    def attempt(self, request: dict[str, str]) -> dict[str, Any]:
        session_id = secrets.token_hex(16)
        self.pending[session_id] = secrets.token_bytes(2048)
        return {
            "session_id": session_id,
            "challenge": base64.b64encode(self.pending[session_id]).decode(),
            "dh_base": base64.b64encode(to_bytes(2)).decode(),
            "dh_modulus": base64.b64encode(to_bytes(MODULUS)).decode(),
            "ttl": 10000,
        }

    def confirm(self, request: dict[str, str]) -> dict[str, Any]:
        challenge = self.pending.pop(request["session_id"])
        size = (self.public_modulus.bit_length() + 7) // 8
        opened = pow(number_of(request["signature"]), 65537, self.public_modulus).to_bytes(size, "big")
        if not opened.endswith(b"\x00" + _SHA256_PREFIX + hashlib.sha256(challenge).digest()):
            raise Refused(400, "wrong signature")
        exponent = int.from_bytes(secrets.token_bytes(64), "big")
        secret = to_bytes(pow(number_of(request["dh_key"]), exponent, MODULUS))
        self.sessions[request["session_id"]] = secret, 0
        return {
            "dh_key": base64.b64encode(to_bytes(pow(2, exponent, MODULUS))).decode(),
            "keepalive_timeout": 100000,
        }

    def check(self, method: str, target: str, headers: Any, body: bytes) -> None:
        session_id = headers.get("X-Deltix-Session-Id")
        kind = headers.get("Content-Type", "")
        if session_id is None:
            key = headers.get("X-Deltix-ApiKey")
            if key not in self.secrets_by_key:
                raise Refused(401, "unknown key")
            expected = signature(payload(method, target, body, "", kind), self.secrets_by_key[key].encode())
        else:
            with self.lock:
                if session_id not in self.sessions:
                    raise Refused(400, f"Unknown session: {session_id}")
                secret, last = self.sessions[session_id]
                nonce = headers["X-Deltix-Nonce"]
                if int(nonce) <= last:
                    raise Refused(400, "stale nonce")
                self.sessions[session_id] = secret, int(nonce)
            names = f"X-Deltix-Nonce={nonce}&X-Deltix-Session-Id={session_id}"
            expected = signature(payload(method, target, body, names, kind), secret)
        if not hmac.compare_digest(expected, headers["X-Deltix-Signature"]):
            raise Refused(400, "wrong signature")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: SeedServer

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.path == "/api/v1/login/attempt":
                reply: Any = self.gateway.attempt(json.loads(body))
            elif self.path == "/api/v1/login/confirm":
                reply = self.gateway.confirm(json.loads(body))
            else:
                self.gateway.check(self.command, self.path, self.headers, body)
                if self.path == "/api/v1/login/logout":
                    del self.gateway.sessions[self.headers["X-Deltix-Session-Id"]]
                reply = {"method": self.command, "path": self.path, "length": len(body)}
            status = 200
        except Refused as refused:
            status, reply = refused.status, {"error": "Refused", "error_description": refused.text}
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        pass


@contextlib.contextmanager
def seed_server(gateway: SeedServer) -> Iterator[str]:
    """Serve on loopback in other threads. Yields the address."""
    handler = type("Handler", (_Handler,), {"gateway": gateway})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
