"""Make the known-answer vectors of this folder again: ``python tests/vectors/generate.py``.

Nothing of the package under test takes part, nor the crypto library it uses: XDR comes from xdrlib3, all cryptography
from the ``openssl`` program, and the JSON is written out by hand. Keys are kept as they are in ``keys.json``; without
that file new ones are made. What is random (OAEP, PSS) comes out different each time, the rest the same.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xdrlib3

HERE = Path(__file__).parent
BITS = {"client": 2048, "server": 2048, "other": 2048, "odd": 2050, "large": 3072}

# ---------------------------------------------------------------------------------------------- tools


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout


def derived(label: str, size: int) -> bytes:
    """Bytes that look random and are the same each time: AES keys, IVs and challenges."""
    return hashlib.sha512(f"cryptoproto vector: {label}".encode()).digest()[:size]


def aes_cbc(key: bytes, iv: bytes, body: bytes, *, pad: bool = True) -> bytes:
    padding = [] if pad else ["-nopad"]
    return openssl("enc", "-aes-256-cbc", "-K", key.hex(), "-iv", iv.hex(), *padding, stdin=body)


def nonce_of(key: bytes, iv: bytes) -> bytes:
    """The block that encrypts to *iv*."""
    return openssl("enc", "-d", "-aes-256-ecb", "-K", key.hex(), "-nopad", stdin=iv)


class Keys:
    """The RSA keys, as files that the program can read."""

    def __init__(self, folder: Path) -> None:
        kept = HERE / "keys.json"
        pems: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
        self.pems = {}
        self._folder = folder
        for name, bits in BITS.items():
            if name not in pems:
                made = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}")
                pems[name] = {"private": made.decode()}
            private = pems[name]["private"].encode()
            public = openssl("pkey", "-pubout", stdin=private)
            self.pems[name] = {"bits": bits, "private": private.decode(), "public": public.decode()}
            (folder / f"{name}.pem").write_bytes(private)
            (folder / f"{name}.pub").write_bytes(public)

    def encrypt(self, name: str, plaintext: bytes) -> bytes:
        """RSA-OAEP, SHA-1 and MGF1-SHA-1, no label."""
        oaep = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha1", "rsa_mgf1_md:sha1"]
        options = [word for option in oaep for word in ("-pkeyopt", option)]
        key = str(self._folder / f"{name}.pub")
        return openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", key, *options, stdin=plaintext)

    def sign(self, name: str, data: bytes, *, digest: str = "sha512") -> bytes:
        """RSA-PSS, SHA-512 and MGF1-SHA-512, the longest salt."""
        pss = [f"digest:{digest}", "rsa_padding_mode:pss", "rsa_pss_saltlen:max", f"rsa_mgf1_md:{digest}"]
        options = [word for option in pss for word in ("-pkeyopt", option)]
        hashed = openssl("dgst", f"-{digest}", "-binary", stdin=data)
        return openssl("pkeyutl", "-sign", "-inkey", str(self._folder / f"{name}.pem"), *options, stdin=hashed)


class Xdr:
    """A few words to write XDR with: each returns the writer."""

    def __init__(self) -> None:
        self._packer = xdrlib3.Packer()

    def opaque(self, data: bytes) -> Xdr:
        self._packer.pack_opaque(data)
        return self

    def hyper(self, number: int) -> Xdr:
        self._packer.pack_hyper(number)
        return self

    def enum(self, number: int) -> Xdr:
        self._packer.pack_enum(number)
        return self

    def signed(self, number: int) -> Xdr:
        self._packer.pack_int(number)
        return self

    def unsigned(self, number: int) -> Xdr:
        self._packer.pack_uint(number)
        return self

    def double(self, number: float) -> Xdr:
        self._packer.pack_double(number)
        return self

    def done(self) -> bytes:
        buffer: bytes = self._packer.get_buffer()
        return buffer


# ---------------------------------------------------------------------------------------------- cipher


def cipher_vectors() -> dict[str, Any]:
    # NIST SP 800-38A, F.2.5 (CBC-AES256.Encrypt); the standard's message is followed by a whole block of padding here.
    nist_key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
    nist_body = (
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    nist_ciphertext = (
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
        "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"
    )
    cases = [("NIST SP 800-38A F.2.5", nist_key, bytes(range(16)), bytes.fromhex(nist_body))]
    cases += [
        (f"{size} bytes", derived(f"key {size}", 32).hex(), derived(f"iv {size}", 16), (bytes(range(256)) * 5)[:size])
        for size in (0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 208, 1200)
    ]
    cases.append(("all zero", bytes(32).hex(), bytes(16), bytes(48)))
    frames = []
    for name, key_hex, iv, body in cases:
        key = bytes.fromhex(key_hex)
        ciphertext = aes_cbc(key, iv, body)
        assert not name.startswith("NIST") or ciphertext.hex().startswith(nist_ciphertext)
        frames.append(
            {
                "name": name,
                "key": key_hex,
                "iv": iv.hex(),
                "nonce": nonce_of(key, iv).hex(),
                "body": body.hex(),
                "frame": (iv + ciphertext).hex(),
            }
        )
    key, iv = derived("bad key", 32), derived("bad iv", 16)
    wrong_padding = {
        "padding of 0": bytes(15) + b"\x00",
        "padding of 17": b"\x11" * 32,
        "padding of 255": b"\xff" * 16,
        "padding of 2 whose first byte is 1": bytes(14) + b"\x01\x02",
        "padding of 16 whose first byte is 15": b"\x0f" + b"\x10" * 15,
        "padding of 3 and nothing else right": bytes(13) + b"\x00\x03\x03",
    }
    refused = [
        {"name": name, "key": key.hex(), "frame": (iv + aes_cbc(key, iv, plain, pad=False)).hex()}
        for name, plain in wrong_padding.items()
    ]
    good = iv + aes_cbc(key, iv, b"a body of two blocks and more!!!!!")
    refused += [
        {"name": f"truncated to {size} bytes", "key": key.hex(), "frame": good[:size].hex()}
        for size in (0, 1, 15, 16, 17, 31, len(good) - 1)
    ]
    refused.append({"name": "one byte too many", "key": key.hex(), "frame": (good + b"\0").hex()})
    return {"frames": frames, "refused": refused}


# ---------------------------------------------------------------------------------------------- handshake


def client_hello(client_id: bytes, last_seen_order: int, aes_key: bytes, version: int | None) -> bytes:
    xdr = Xdr().opaque(client_id).hyper(last_seen_order).opaque(aes_key)
    return (xdr if version is None else xdr.unsigned(version)).done()


def server_hello(challenge: bytes, last_seen_sequence: int, aes_key: bytes, version: int | None) -> bytes:
    xdr = Xdr().opaque(challenge).hyper(last_seen_sequence).opaque(aes_key)
    return (xdr if version is None else xdr.unsigned(version)).done()


def handshake_vectors(keys: Keys) -> dict[str, Any]:
    key, challenge = derived("handshake key", 32), derived("challenge", 32)
    client = []
    for name, server, client_id, order, version in [
        ("from the start", "server", "alice", 0, None),
        ("live events alone", "server", "alice", -1, None),
        ("resumed", "server", "market-maker@example.com", 1234567890123456789, None),
        ("longest id of the signed form", "server", "a" * 164, 2**63 - 1, None),
        ("lowest order", "server", "abc", -(2**63), None),
        ("version 5", "server", "alice", 0, 5),
        ("version 5, resumed", "large", "alice", 42, 5),
        ("version 5, longest id", "server", "b" * 160, 7, 5),
        ("a key of odd length", "odd", "alice", 7, 5),
    ]:
        plaintext = client_hello(client_id.encode(), order, key, version)
        client.append(
            {
                "name": name,
                "server_key": server,
                "client_id": client_id,
                "last_seen_order": str(order),
                "aes_key": key.hex(),
                "version": version,
                "plaintext": plaintext.hex(),
                "frame": keys.encrypt(server, plaintext).hex(),
            }
        )
    server_side = []
    for name, to, protocol, sequence, version in [
        ("nothing seen yet", "client", "signed", 0, None),
        ("something seen", "client", "signed", 987654321, None),
        ("version 5", "client", "v5", 0, 5),
        ("version 5, something seen", "large", "v5", 2**40, 5),
        ("no version although the client sent one", "client", "v5", 3, None),
    ]:
        plaintext = server_hello(challenge, sequence, key, version)
        server_side.append(
            {
                "name": name,
                "client_key": to,
                "protocol": protocol,
                "challenge": challenge.hex(),
                "last_seen_sequence": str(sequence),
                "aes_key": key.hex(),
                "version": version,
                "plaintext": plaintext.hex(),
                "frame": keys.encrypt(to, plaintext).hex(),
                "proof": keys.sign(to, challenge).hex(),
            }
        )
    good_client = client_hello(b"alice", 0, key, None)
    refused_client = [
        ("empty", b"", "DecodeError"),
        ("truncated in the id", good_client[:7], "DecodeError"),
        ("truncated in the order", good_client[:18], "DecodeError"),
        ("truncated in the key", good_client[:-1], "DecodeError"),
        ("half a version", good_client + b"\0\0", "DecodeError"),
        ("something behind the version", good_client + b"\0\0\0\5" + b"\0\0\0\0", "DecodeError"),
        ("a length beyond the end", b"\xff\xff\xff\xff" + good_client[4:], "DecodeError"),
        ("no client id", client_hello(b"", 0, key, None), "DecodeError"),
        ("client id not ASCII", client_hello("zoë".encode(), 0, key, None), "DecodeError"),
        ("AES-128 key", client_hello(b"alice", 0, key[:16], None), "DecodeError"),
        ("AES key too long", client_hello(b"alice", 0, key + b"\0", None), "DecodeError"),
    ] + [
        (f"version {version}", client_hello(b"alice", 0, key, version), "UnsupportedVersion")
        for version in (0, 1, 2, 3, 4, 6, 2**32 - 1)
    ]
    good_server = server_hello(challenge, 0, key, None)
    refused_server = [
        ("empty", "signed", b"", "DecodeError"),
        ("truncated in the challenge", "signed", good_server[:20], "DecodeError"),
        ("truncated in the key", "signed", good_server[:-1], "DecodeError"),
        ("something behind the version", "v5", good_server + b"\0\0\0\5" + b"\0\0\0\0", "DecodeError"),
        ("short challenge", "signed", server_hello(challenge[:31], 0, key, None), "DecodeError"),
        ("long challenge", "signed", server_hello(challenge + b"\0", 0, key, None), "DecodeError"),
        ("no challenge", "signed", server_hello(b"", 0, key, None), "DecodeError"),
        ("AES-128 key", "signed", server_hello(challenge, 0, key[:16], None), "DecodeError"),
        ("no sequence can follow", "v5", server_hello(challenge, 2**63 - 1, key, 5), "DecodeError"),
        ("version 5 to the signed form", "signed", server_hello(challenge, 0, key, 5), "UnsupportedVersion"),
        ("version 4 to version 5", "v5", server_hello(challenge, 0, key, 4), "UnsupportedVersion"),
        ("version 6 to version 5", "v5", server_hello(challenge, 0, key, 6), "UnsupportedVersion"),
    ]
    return {
        "client_hellos": client,
        "server_hellos": server_side,
        "refused_client_hellos": [
            {
                "name": name,
                "server_key": "server",
                "plaintext": plaintext.hex(),
                "frame": keys.encrypt("server", plaintext).hex(),
                "error": error,
            }
            for name, plaintext, error in refused_client
        ]
        + [
            {
                "name": "encrypted under another key",
                "server_key": "server",
                "plaintext": good_client.hex(),
                "frame": keys.encrypt("other", good_client).hex(),
                "error": "InvalidKey",
            }
        ],
        "refused_server_hellos": [
            {
                "name": name,
                "client_key": "client",
                "protocol": protocol,
                "plaintext": plaintext.hex(),
                "frame": keys.encrypt("client", plaintext).hex(),
                "error": error,
            }
            for name, protocol, plaintext, error in refused_server
        ]
        + [
            {
                "name": "encrypted under another key",
                "client_key": "client",
                "protocol": "signed",
                "plaintext": good_server.hex(),
                "frame": keys.encrypt("other", good_server).hex(),
                "error": "InvalidKey",
            }
        ],
    }


def signature_vectors(keys: Keys) -> list[dict[str, Any]]:
    vectors = []

    def add(name: str, key: str, data: bytes, signature: bytes, *, valid: bool) -> None:
        vectors.append({"name": name, "key": key, "data": data.hex(), "signature": signature.hex(), "valid": valid})

    for key in ("client", "odd", "large"):
        for what, data in [
            ("nothing", b""),
            ("a challenge", derived("challenge", 32)),
            ("an order", Xdr().hyper(1).opaque(b'{"@type":"CancelAllOrders"}').done()),
            ("more than a block of the hash", bytes(range(256)) * 4),
        ]:
            add(f"{what}, {BITS[key]} bits", key, data, keys.sign(key, data), valid=True)
    data = derived("signed", 64)
    signature = keys.sign("client", data)
    add("other data", "client", data + b"\0", signature, valid=False)
    add("another key's", "client", data, keys.sign("other", data), valid=False)
    add("one bit flipped", "client", data, bytes([signature[0] ^ 1]) + signature[1:], valid=False)
    add("truncated", "client", data, signature[:-1], valid=False)
    add("one byte too many", "client", data, signature + b"\0", valid=False)
    add("empty", "client", data, b"", valid=False)
    add("SHA-256", "client", data, keys.sign("client", data, digest="sha256"), valid=False)
    return vectors


# ---------------------------------------------------------------------------------------------- frames

PAYLOADS = [
    "",
    "{}",
    '{"@type":"CancelAllOrders"}',
    '{"@type":"CancelOrder","order_id":4611686018427387904}',
    '{"@type":"Grüße","text":"€ 𝄞"}',
]


def timestamp_fields(timestamp: float) -> dict[str, str]:
    return {"timestamp": repr(timestamp), "timestamp_hex": Xdr().double(timestamp).done().hex()}


def transaction_fields(transaction_id: int, timestamp: float, payload: str) -> dict[str, Any]:
    return {"transaction_id": str(transaction_id), **timestamp_fields(timestamp), "json": payload}


def server_cases() -> Iterator[tuple[str, int, dict[str, Any], bytes, bytes]]:
    """Kind, type, fields, and the content as it stands in the nested and in the flat body."""

    def of(kind: str, number: int, fields: dict[str, Any], xdr: Xdr) -> tuple[str, int, dict[str, Any], bytes, bytes]:
        return kind, number, fields, xdr.done(), xdr.done()

    for size in range(16):  # every length of fill and padding
        payload = json.dumps({"n": "x" * size}, separators=(",", ":"))
        number, timestamp = 1000 + 7 * size, 1700000000.25 + size
        fields = transaction_fields(number, timestamp, payload)
        yield of("transaction", 1, fields, Xdr().hyper(number).double(timestamp).opaque(payload.encode()))
    for number, timestamp in [(0, 0.0), (1, 1752912345.123456), (2**63 - 1, 99999999999.0), (-(2**63), 0.5)]:
        for payload in PAYLOADS[:1] + PAYLOADS[-1:]:
            fields = transaction_fields(number, timestamp, payload)
            yield of("transaction", 1, fields, Xdr().hyper(number).double(timestamp).opaque(payload.encode()))
    for number, payload in [(1, PAYLOADS[1]), (2**63 - 1, PAYLOADS[4]), (-1, PAYLOADS[0]), (77, PAYLOADS[3])]:
        fields = {"request_id": str(number), "json": payload}
        yield of("response", 2, fields, Xdr().hyper(number).opaque(payload.encode()))
    for error_type, text in [
        (-1, "TimeoutError()"),
        (1, "client_order_id 7 was used before"),
        (2, "price fehlt: »price«"),
        (3, ""),
        (99, "of a type nobody named"),
        (-(2**31), "lowest"),
        (2**31 - 1, "highest"),
    ]:
        fields = {"error_type": str(error_type), "text": text}
        yield of("error", 3, fields, Xdr().signed(error_type).opaque(text.encode()))
    for payload in PAYLOADS:
        yield of("broadcast", 4, {"json": payload}, Xdr().opaque(payload.encode()))
    for level, request_id, order_id in [(0, 0, 0), (5, 17, 2**40), (2**31 - 1, 2**63 - 1, -1)]:
        fields = {"level": str(level), "request_id": str(request_id), "order_id": str(order_id)}
        yield of("throttling", 5, fields, Xdr().signed(level).hyper(request_id).hyper(order_id))


def sealed(label: str, body: bytes) -> dict[str, str]:
    key, iv = derived(f"frame key {label}", 32), derived(f"frame iv {label}", 16)
    return {
        "body": body.hex(),
        "key": key.hex(),
        "iv": iv.hex(),
        "nonce": nonce_of(key, iv).hex(),
        "frame": (iv + aes_cbc(key, iv, body)).hex(),
    }


def frame_vectors(keys: Keys) -> dict[str, Any]:
    server, client = [], []
    for protocol in ("signed", "v5"):
        for position, (kind, number, fields, nested, flat) in enumerate(server_cases()):
            body = (
                Xdr().enum(number).opaque(nested).done() if protocol == "signed" else Xdr().enum(number).done() + flat
            )
            common = {"protocol": protocol, "kind": kind, "type": number, **fields}
            server.append(common | sealed(f"server {protocol} {position}", body))
        cases = [
            (kind, kind_number, number, payload)
            for kind, kind_number in (("message", 1), ("request", 2))
            for number, payload in zip((1, 2, 2**63 - 1, -(2**63), 1234567890123), PAYLOADS, strict=True)
        ]
        cases += [("message", 1, 10 + size, json.dumps({"n": "x" * size}, separators=(",", ":"))) for size in range(16)]
        for position, (kind, kind_number, number, payload) in enumerate(cases):
            field = "sequence" if kind == "message" else "request_id"
            data = Xdr().hyper(number).opaque(payload.encode()).done()
            entry: dict[str, Any] = {"protocol": protocol, "kind": kind, "type": kind_number}
            entry |= {field: str(number), "json": payload}
            if protocol == "signed":
                signature = keys.sign("client", data)
                entry |= {"signed_with": "client", "data": data.hex(), "signature": signature.hex()}
                body = Xdr().opaque(signature).enum(kind_number).opaque(data).done()
            else:
                body = Xdr().enum(kind_number).done() + data
            client.append(entry | sealed(f"client {protocol} {position}", body))
    return {
        "server": server,
        "client": client,
        "refused_server": list(refused_server()),
        "refused_client": list(refused_client()),
    }


def refused_server() -> Iterator[dict[str, str]]:
    def of(protocol: str, name: str, body: bytes, error: str = "DecodeError") -> dict[str, str]:
        return {"protocol": protocol, "name": name, "body": body.hex(), "error": error}

    inner = Xdr().hyper(5).double(1.0).opaque(b"{}").done()
    for protocol in ("signed", "v5"):

        def body(number: int, content: bytes, protocol: str = protocol) -> bytes:
            xdr = Xdr().enum(number)
            return xdr.opaque(content).done() if protocol == "signed" else xdr.done() + content

        yield of(protocol, "empty", b"")
        yield of(protocol, "half a type", b"\0\0")
        yield of(protocol, "a type alone", b"\0\0\0\1")
        for number in (0, 6, 7, -1, 2**31 - 1, -(2**31)):
            yield of(protocol, f"type {number}", body(number, inner), "UnsupportedMessageType")
        yield of(protocol, "transaction: truncated", body(1, inner[:-4]))
        yield of(protocol, "transaction: trailing bytes", body(1, inner + b"\0\0\0\0"))
        yield of(protocol, "transaction: fill not zero", body(1, inner[:-1] + b"\1"))
        yield of(protocol, "transaction: length too large", body(1, inner[:16] + b"\0\0\0\7" + inner[20:]))
        yield of(protocol, "transaction: length too small", body(1, inner[:16] + b"\0\0\0\0" + inner[20:]))
        yield of(protocol, "transaction: length of 4 GiB", body(1, inner[:16] + b"\xff\xff\xff\xff" + inner[20:]))
        for name, timestamp in [
            ("not a number", float("nan")),
            ("infinite", float("inf")),
            ("negative", -1.0),
            ("after the year 5138", 1e11),
        ]:
            late = Xdr().hyper(5).double(timestamp).opaque(b"{}").done()
            yield of(protocol, f"transaction: timestamp {name}", body(1, late))
        response = Xdr().hyper(5).opaque(b"{}").done()
        yield of(protocol, "response: truncated", body(2, response[:-4]))
        yield of(protocol, "response: id alone", body(2, response[:8]))
        yield of(protocol, "response: trailing bytes", body(2, response + b"\0\0\0\0"))
        words = Xdr().signed(1).opaque(b"words").done()
        yield of(protocol, "error: truncated", body(3, words[:-4]))
        yield of(protocol, "error: trailing bytes", body(3, words + b"\0\0\0\0"))
        yield of(protocol, "broadcast: empty", body(4, b""))
        yield of(protocol, "broadcast: fill not zero", body(4, Xdr().opaque(b"{}").done()[:-1] + b"\1"))
        throttling = Xdr().signed(1).hyper(2).hyper(3).done()
        yield of(protocol, "throttling: truncated", body(5, throttling[:-4]))
        yield of(protocol, "throttling: trailing bytes", body(5, throttling + b"\0\0\0\0"))
    good = Xdr().enum(1).opaque(inner).done()
    yield of("signed", "length of the data too small", good[:4] + b"\0\0\0\1" + good[8:])
    yield of("signed", "length of the data too large", good[:4] + b"\0\1\0\0" + good[8:])
    yield of("signed", "the other form's body", Xdr().enum(1).done() + inner)
    yield of("v5", "the other form's body", good)


def refused_client() -> Iterator[dict[str, str]]:
    def of(protocol: str, name: str, body: bytes, error: str = "DecodeError") -> dict[str, str]:
        return {"protocol": protocol, "name": name, "body": body.hex(), "error": error}

    data = Xdr().hyper(5).opaque(b"{}").done()
    for protocol in ("signed", "v5"):

        def body(number: int, content: bytes, protocol: str = protocol) -> bytes:
            if protocol == "signed":
                return Xdr().opaque(bytes(255)).enum(number).opaque(content).done()
            return Xdr().enum(number).done() + content

        yield of(protocol, "empty", b"")
        yield of(protocol, "two bytes", b"\0\0")
        for number in (0, 3, 4, 5, -1, 2**31 - 1):
            yield of(protocol, f"type {number}", body(number, data), "UnsupportedMessageType")
        yield of(protocol, "truncated", body(1, data[:-4]))
        yield of(protocol, "trailing bytes", body(1, data + b"\0\0\0\0"))
        yield of(protocol, "fill not zero", body(1, data[:-1] + b"\1"))
        yield of(protocol, "number alone", body(2, data[:8]))
        yield of(protocol, "length of 4 GiB", body(2, data[:8] + b"\xff\xff\xff\xff" + data[12:]))
    signed = Xdr().opaque(bytes(255)).enum(1).opaque(data).done()
    yield of("signed", "signature alone", signed[:260])
    yield of("signed", "fill of the signature not zero", signed[:259] + b"\1" + signed[260:])
    yield of("signed", "signature of 4 GiB", b"\xff\xff\xff\xfc" + signed[4:])
    yield of("signed", "length of the data too small", signed[:264] + b"\0\0\0\1" + signed[268:])
    yield of("signed", "length of the data too large", signed[:264] + b"\0\1\0\0" + signed[268:])


# ---------------------------------------------------------------------------------------------- market data


def market_vectors() -> dict[str, Any]:
    good = Xdr().enum(4).opaque(b"{}").done()
    return {
        "hellos": [
            {"version": version, "frame": Xdr().unsigned(version).done().hex()} for version in (1, 0, 2**32 - 1)
        ],
        "refused_hellos": [
            {"name": "empty", "frame": ""},
            {"name": "truncated", "frame": "000001"},
            {"name": "trailing bytes", "frame": "0000000100000000"},
        ],
        "frames": [
            {"json": payload, "frame": Xdr().enum(4).opaque(payload.encode()).done().hex()}
            for payload in [*PAYLOADS, *(message["json"] for message in MESSAGES if message["sender"] == "market")]
        ],
        "refused_frames": [
            {"name": "empty", "frame": "", "error": "DecodeError"},
            {"name": "a type alone", "frame": "00000004", "error": "DecodeError"},
            {"name": "type 1", "frame": "00000001" + good[4:].hex(), "error": "UnsupportedMessageType"},
            {"name": "type -1", "frame": "ffffffff" + good[4:].hex(), "error": "UnsupportedMessageType"},
            {"name": "truncated", "frame": good[:-1].hex(), "error": "DecodeError"},
            {"name": "trailing bytes", "frame": good.hex() + "00000000", "error": "DecodeError"},
            {"name": "fill not zero", "frame": good[:-1].hex() + "01", "error": "DecodeError"},
            {"name": "length of 4 GiB", "frame": "00000004ffffffff" + good[8:].hex(), "error": "DecodeError"},
        ],
    }


# ---------------------------------------------------------------------------------------------- messages


def message(sender: str, json_text: str, with_numbers: str | None = None) -> dict[str, str]:
    entry = {"sender": sender, "type": json.loads(json_text)["@type"], "json": json_text}
    return entry if with_numbers is None else entry | {"json_with_numbers": with_numbers}


_WHEN = '"time":[1700000000,123456]'
_ORDER = '"order_id":4611686018427387904,"client_order_id":7,"trade_pair":"BTC_USD"'

MESSAGES = [
    *(
        message(
            "client",
            f'{{"@type":"Place{kind}Order","trade_pair":"BTC_USD","amount":"1.50000000","price":"0.00000001",'
            f'"client_order_id":123,"ttl":60}}',
            f'{{"@type":"Place{kind}Order","trade_pair":"BTC_USD","amount":1.50000000,"price":1e-8,'
            f'"client_order_id":123,"ttl":60}}',
        )
        for kind in ("BuyLimit", "SellLimit", "BuyFoK", "SellFoK", "BuyIoC", "SellIoC")
    ),
    message(
        "client",
        '{"@type":"PlaceBuyLimitOrder","trade_pair":"BTC_USD","amount":"1","price":"98765432109876543210.12345678","ttl":0}',
        '{"@type":"PlaceBuyLimitOrder","trade_pair":"BTC_USD","amount":1,"price":98765432109876543210.12345678,"ttl":0}',
    ),
    message("client", '{"@type":"CancelOrder","order_id":4611686018427387904}'),
    message("client", '{"@type":"CancelAllOrders"}'),
    message("client_rpc", '{"@type":"UserOrdersRequest"}'),
    message("client_rpc", '{"@type":"UserBalanceRequest"}'),
    message(
        "server_rpc",
        '{"@type":"UserOrdersResponse","order_books":{"BTC_USD":{"buy":[{"order_id":1,"amount":"0.10000000",'
        '"price":"50000.5","client_order_id":7},{"order_id":2,"amount":"2","price":"0.00000001","client_order_id":null}],'
        '"sell":[]},"ETH_BTC":{"buy":[],"sell":[{"order_id":3,"amount":"12345678901234567890.12345678","price":"1",'
        '"client_order_id":8}]}}}',
        '{"@type":"UserOrdersResponse","order_books":{"BTC_USD":{"buy":[{"order_id":1,"amount":0.10000000,'
        '"price":50000.5,"client_order_id":7},{"order_id":2,"amount":2,"price":1e-8,"client_order_id":null}],'
        '"sell":[]},"ETH_BTC":{"buy":[],"sell":[{"order_id":3,"amount":12345678901234567890.12345678,"price":1,'
        '"client_order_id":8}]}}}',
    ),
    message("server_rpc", '{"@type":"UserOrdersResponse","order_books":{}}'),
    message(
        "server_rpc",
        '{"@type":"UserBalanceResponse","account_id":1234,"balances":{"BTC":{"available":"0.00000001","on_hold":"0"},'
        '"USD":{"available":"1000000.00","on_hold":"12.50"}}}',
        '{"@type":"UserBalanceResponse","account_id":1234,"balances":{"BTC":{"available":0.00000001,"on_hold":0},'
        '"USD":{"available":1000000.00,"on_hold":12.50}}}',
    ),
    *(
        message(
            "server",
            f'{{"@type":"{side}OrderPlaced",{_ORDER},"price":"50000.10","initial_amount":"2.00000000",'
            f'"amount":"0.00000001","closed_inline":false,{_WHEN}}}',
            f'{{"@type":"{side}OrderPlaced",{_ORDER},"price":50000.10,"initial_amount":2.00000000,'
            f'"amount":1e-8,"closed_inline":false,{_WHEN}}}',
        )
        for side in ("Buy", "Sell")
    ),
    message(
        "server",
        '{"@type":"BuyOrderPlaced","order_id":1,"client_order_id":null,"trade_pair":"BTC_USD","price":"1",'
        '"initial_amount":"2","amount":"0","closed_inline":true,"time":[0,0]}',
    ),
    *(
        message(
            "server",
            f'{{"@type":"{side}OrderAmountChanged",{_ORDER},"amount":"0.5","fee":"0.00000100",{_WHEN}}}',
            f'{{"@type":"{side}OrderAmountChanged",{_ORDER},"amount":0.5,"fee":0.00000100,{_WHEN}}}',
        )
        for side in ("Buy", "Sell")
    ),
    *(
        message("server", f'{{"@type":"{side}Order{end}",{_ORDER},{_WHEN}}}')
        for side in ("Buy", "Sell")
        for end in ("Cancelled", "Closed")
    ),
    message("server", '{"@type":"OrderNotFound","order_id":99}'),
    message(
        "server",
        f'{{"@type":"OwnTrade",{_ORDER},"amount":"0.25","price":"50000.01","maker":true,"maker_buy":false,{_WHEN}}}',
        f'{{"@type":"OwnTrade",{_ORDER},"amount":0.25,"price":50000.01,"maker":true,"maker_buy":false,{_WHEN}}}',
    ),
    *(
        message(
            "server",
            f'{{"@type":"SetBalance","currency":"USD","balance":"999.5","change":"-0.00000001","reason":"{reason}",{_WHEN}}}',
            f'{{"@type":"SetBalance","currency":"USD","balance":999.5,"change":-1E-8,"reason":"{reason}",{_WHEN}}}',
        )
        for reason in ("trade", "on_hold", "transfer", "withdraw")
    ),
    message("server", '{"@type":"InsufficientFunds","order_id":5,"currency":"USD"}'),
    *(
        message(
            "server",
            f'{{"@type":"{kind}TransactionAccepted","currency":"BTC","amount":"0.1","transaction_info":'
            f'{{"to_address":"bc1q000","blockchain_tx_ids":["aa","bb"]}},{_WHEN}}}',
            f'{{"@type":"{kind}TransactionAccepted","currency":"BTC","amount":0.1,"transaction_info":'
            f'{{"to_address":"bc1q000","blockchain_tx_ids":["aa","bb"]}},{_WHEN}}}',
        )
        for kind in ("Deposit", "Withdrawal")
    ),
    message("broadcast", '{"@type":"TradesDisabledOnPairs","trade_pairs":["BTC_USD","ETH_BTC"]}'),
    message("broadcast", '{"@type":"TradesEnabledOnPairs","trade_pairs":[]}'),
    message(
        "market",
        '{"@type":"OrderBookAgg","trade_pair":"BTC_USD","current_order_id":12,"buy_levels":{"49999.9":"1.5","0.00000001":"7"},'
        '"sell_levels":{"50000":"0.00000001"}}',
        '{"@type":"OrderBookAgg","trade_pair":"BTC_USD","current_order_id":12,"buy_levels":{"49999.9":1.5,"0.00000001":7},'
        '"sell_levels":{"50000":1e-8}}',
    ),
    message(
        "market",
        '{"@type":"AnonymousTrade","trade_pair":"BTC_USD","current_order_id":12,"amount":"0.5","price":"50000.01",'
        '"maker_buy":true,"time":[1700000000,123]}',
        '{"@type":"AnonymousTrade","trade_pair":"BTC_USD","current_order_id":12,"amount":0.5,"price":50000.01,'
        '"maker_buy":true,"time":[1700000000,123]}',
    ),
    message(
        "market",
        '{"@type":"TradingRules","instruments":[{"trade_pair":"BTC_USD","tick_size":"0.01","lot_size":"0.0001",'
        '"min_amount":"0.001","min_value":"10","max_amount":"1000","max_value":null},{"trade_pair":"ETH_BTC",'
        '"tick_size":"0.00000001","lot_size":"0.00000001","min_amount":"0.00000001","min_value":"0.00000001",'
        '"max_amount":null,"max_value":null}]}',
        '{"@type":"TradingRules","instruments":[{"trade_pair":"BTC_USD","tick_size":0.01,"lot_size":0.0001,'
        '"min_amount":0.001,"min_value":10,"max_amount":1000},{"trade_pair":"ETH_BTC","tick_size":1e-8,"lot_size":1e-8,'
        '"min_amount":1e-8,"min_value":1e-8}]}',
    ),
]

# ---------------------------------------------------------------------------------------------- whole connections


def transcripts(keys: Keys) -> list[dict[str, Any]]:
    return [transcript(keys, protocol) for protocol in ("signed", "v5")]


def transcript(keys: Keys, protocol: str) -> dict[str, Any]:
    """A connection from the first frame on, with everything random in it given."""
    version = 5 if protocol == "v5" else None
    client_key, server_key = derived(f"{protocol} client", 32), derived(f"{protocol} server", 32)
    challenge = derived(f"{protocol} challenge", 32)
    frames: list[dict[str, Any]] = []

    def say(sender: str, kind: str, frame: bytes, **fields: str) -> None:
        frames.append({"from": sender, "kind": kind, **fields, "frame": frame.hex()})

    def encrypted(sender: str, body: bytes) -> bytes:
        iv = derived(f"{protocol} iv {len(frames)}", 16)
        return iv + aes_cbc(client_key if sender == "client" else server_key, iv, body)

    def from_client(kind: str, number: int, payload: str) -> None:
        data = Xdr().hyper(number).opaque(payload.encode()).done()
        kind_number = 1 if kind == "message" else 2
        if protocol == "signed":
            body = Xdr().opaque(keys.sign("client", data)).enum(kind_number).opaque(data).done()
        else:
            body = Xdr().enum(kind_number).done() + data
        field = "sequence" if kind == "message" else "request_id"
        say("client", kind, encrypted("client", body), **{field: str(number), "json": payload})

    def from_server(kind: str, kind_number: int, content: Xdr, **fields: str) -> None:
        xdr = Xdr().enum(kind_number)
        body = xdr.opaque(content.done()).done() if protocol == "signed" else xdr.done() + content.done()
        say("server", kind, encrypted("server", body), **fields)

    def event(transaction_id: int, payload: str, **more: str) -> None:
        content = Xdr().hyper(transaction_id).double(1700000000.5).opaque(payload.encode())
        from_server("transaction", 1, content, **transaction_fields(transaction_id, 1700000000.5, payload), **more)

    say("client", "hello", keys.encrypt("server", client_hello(b"alice", 40, client_key, version)))
    say("server", "hello", keys.encrypt("client", server_hello(challenge, 11, server_key, version)))
    say("client", "proof", keys.sign("client", challenge))
    event(39, '{"@type":"OrderNotFound","order_id":39}', skipped="already processed")
    event(40, '{"@type":"OrderNotFound","order_id":40}', skipped="already processed")
    event(43, '{"@type":"OrderNotFound","order_id":43}')
    # Repeated while the history is replayed. After the first response, it would be a rewound history.
    event(43, '{"@type":"OrderNotFound","order_id":43}', skipped="already processed")
    from_client("message", 12, '{"@type":"CancelAllOrders"}')
    from_client("request", 1, '{"@type":"UserBalanceRequest"}')
    from_client("message", 13, '{"@type":"CancelOrder","order_id":5}')
    response = '{"@type":"UserBalanceResponse","account_id":1,"balances":{}}'
    from_server("response", 2, Xdr().hyper(1).opaque(response.encode()), request_id="1", json=response)
    event(1000, '{"@type":"OrderNotFound","order_id":1000}')
    broadcast = '{"@type":"TradesDisabledOnPairs","trade_pairs":["BTC_USD"]}'
    from_server("broadcast", 4, Xdr().opaque(broadcast.encode()), json=broadcast)
    throttling = {"level": "3", "request_id": "0", "order_id": "17"}
    from_server("throttling", 5, Xdr().signed(3).hyper(0).hyper(17), **throttling)
    from_server("error", 3, Xdr().signed(3).opaque(b"BTC_USD"), error_type="3", text="BTC_USD")
    return {
        "protocol": protocol,
        "client_id": "alice",
        "client_key": "client",
        "server_key": "server",
        "last_seen_order": "40",
        "last_seen_sequence": "11",
        "client_aes_key": client_key.hex(),
        "server_aes_key": server_key.hex(),
        "challenge": challenge.hex(),
        "frames": frames,
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        keys = Keys(Path(folder))
        for name, content in {
            "keys": keys.pems,
            "cipher": cipher_vectors(),
            "signatures": signature_vectors(keys),
            "handshake": handshake_vectors(keys),
            "frames": frame_vectors(keys),
            "market": market_vectors(),
            "messages": MESSAGES,
            "transcripts": transcripts(keys),
        }.items():
            (HERE / f"{name}.json").write_text(
                json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )


if __name__ == "__main__":
    main()
