"""The script as a client: hello, proof and frames, right or wrong, and what the exchange answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from struct import pack
from typing import Any, Final

from ..exceptions import ConfigurationError, DecodeError
from ..keys import PrivateKey, PublicKey
from ..wire import (
    BroadcastFrame,
    ClientFrameCodec,
    ClientFrameType,
    ClientHello,
    ErrorFrame,
    Opener,
    Protocol,
    ResponseFrame,
    Sealer,
    ServerFrameCodec,
    ThrottlingFrame,
    TransactionFrame,
)
from ..wire.handshake import client_hello, read_server_hello
from .damage import damaged_frame, damaged_signature, sealed, with_fill
from .ends import End
from .seen import Seen

__all__ = ["ClientEnd"]

_KEY_BYTES: Final = 32
_MAX_FRAME_BYTES: Final = 2**24


class ClientEnd(End):
    """A connection to the exchange under test.

    Args:
        client_id: the client that the script plays.
        private_key: the key that the exchange knows it by.
        server_key: the exchange's public key.
        protocol: the form of the frames.

    Attributes:
        next_sequence: the sequence that a correct client would send next.
        next_request: the request id of the next request.
        last_transaction: the highest transaction id that was received, or that the hello resumed from.
    """

    def __init__(self, client_id: str, private_key: PrivateKey, server_key: PublicKey, protocol: Protocol) -> None:
        super().__init__()
        self.client_id = client_id
        self.next_sequence: int = 1
        self.next_request: int = 1
        self.last_transaction: int = -1
        self._private_key = private_key
        self._server_key = server_key
        self._protocol = protocol
        self._aes_key = os.urandom(_KEY_BYTES)
        self._encoder = ClientFrameCodec(protocol)
        self._decoder = ServerFrameCodec(protocol)
        self._sealer = Sealer(self._aes_key, os.urandom)
        self._opener: Opener | None = None
        self._challenge = b""
        self._ivs: set[bytes] = set()

    # Sending

    def send_hello(self, fields: Mapping[str, Any], settings: Mapping[str, int]) -> None:
        """The first frame of the handshake; *fields* may name another client id, version or transaction."""
        resume = int(fields.get("resume", -1))
        self.last_transaction = resume
        version = fields.get("version", self._protocol.version)
        hello = ClientHello(str(fields.get("client_id", self.client_id)), resume, self._aes_key, version)
        self.transport.send(damaged_frame(client_hello(hello, self._server_key), settings))

    def send_proof(self, settings: Mapping[str, int]) -> None:
        """The third frame of the handshake.

        Raises:
            ConfigurationError: the exchange has not sent its hello.
        """
        if not self._challenge:
            raise ConfigurationError("there is no challenge to sign: expect the hello of the exchange first")
        signature = damaged_signature(self._private_key.sign(self._challenge), settings)
        self.transport.send(damaged_frame(signature, settings))

    def send_frame(self, kind: ClientFrameType, payload: bytes, settings: Mapping[str, int]) -> None:
        """A client message or a request, with the number that it should have or that the settings say."""
        if kind is ClientFrameType.MESSAGE:
            number = settings.get("sequence", self.next_sequence)
            self.next_sequence = number + 1
        else:
            number = settings.get("request", self.next_request)
            self.next_request = max(self.next_request, number) + 1
        data = self._encoder.data(number, with_fill(payload, settings))
        value = settings.get("type", int(kind))
        if self._protocol is Protocol.SIGNED:
            signature = damaged_signature(self._private_key.sign(data), settings)
            body = self._encoder.signed_body(value, data, signature)
        else:
            body = pack(">i", value) + data
        self.transport.send(damaged_frame(sealed(body, self._sealer, settings), settings))

    # Receiving

    def read(self, data: bytes) -> Seen:
        """See :class:`End`."""
        if self._opener is None:
            return self._read_hello(data)
        if data[:16] in self._ivs:
            raise DecodeError("the IV of an earlier frame was used again")
        self._ivs.add(data[:16])
        frame = self._decoder.decode(self._opener.open(data))
        if isinstance(frame, TransactionFrame):
            before, number = self.last_transaction, frame.transaction_id
            if number <= before:
                raise DecodeError(f"transaction {number} came after {before}; transaction ids have to grow")
            self.last_transaction = number
            return Seen.of_payload("event", frame.payload, transaction=number, timestamp=frame.timestamp)
        if isinstance(frame, ResponseFrame):
            return Seen.of_payload("response", frame.payload, request=frame.request_id)
        if isinstance(frame, BroadcastFrame):
            return Seen.of_payload("broadcast", frame.payload)
        if isinstance(frame, ErrorFrame):
            return Seen("error", arguments=(frame.error_type, frame.text))
        return _throttling(frame)

    def _read_hello(self, data: bytes) -> Seen:
        hello = read_server_hello(data, self._private_key, self._protocol)
        self._opener = Opener(hello.aes_key, _MAX_FRAME_BYTES)
        self._challenge = hello.challenge
        self.next_sequence = hello.last_seen_sequence + 1
        fields = {"last_sequence": hello.last_seen_sequence, "version": hello.version}
        return Seen("hello", fields=fields)


def _throttling(frame: ThrottlingFrame) -> Seen:
    fields = {"level": frame.level, "request_id": frame.request_id, "order_id": frame.order_id}
    return Seen("throttling", fields=fields)
