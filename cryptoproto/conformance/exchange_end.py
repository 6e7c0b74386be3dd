"""The script as an exchange: hello and frames, right or wrong, and what the client sends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from struct import pack
from typing import Any, Final

import msgspec

from ..exceptions import ConfigurationError, DecodeError, InvalidKey, UnsupportedVersion
from ..keys import PrivateKey, PublicKey
from ..wire import ClientFrameCodec, MessageFrame, Opener, Protocol, Sealer, ServerFrameCodec, ServerHello
from ..wire.handshake import read_client_hello, server_hello
from .damage import damaged_frame, sealed, with_fill
from .ends import End
from .seen import Seen

__all__ = ["ExchangeEnd"]

_KEY_BYTES: Final = 32
_MAX_FRAME_BYTES: Final = 2**24
_TIMESTAMP: Final = 1_700_000_000


class _Keys(msgspec.Struct):
    """What the handshake has agreed on."""

    opener: Opener
    challenge: bytes = b""
    is_proven: bool = False


class ExchangeEnd(End):
    """A connection from the client under test.

    Args:
        private_key: the exchange's key.
        client_key: the client's public key.
        protocol: the form of the frames that the client has to speak.

    Attributes:
        next_transaction: the transaction id of the next event, if the script names none.
        next_sequence: the sequence that the client has to send next.
    """

    def __init__(self, private_key: PrivateKey, client_key: PublicKey, protocol: Protocol) -> None:
        super().__init__()
        self.next_transaction: int = 1
        self.next_sequence: int = 1
        self._private_key = private_key
        self._client_key = client_key
        self._protocol = protocol
        self._encoder = ServerFrameCodec(protocol)
        self._decoder = ClientFrameCodec(protocol)
        self._keys: _Keys | None = None
        self._aes_key = os.urandom(_KEY_BYTES)
        self._sealer = Sealer(self._aes_key, os.urandom)
        self._in_flight: set[int] = set()
        self._ivs: set[bytes] = set()

    # Sending

    def send_hello(self, fields: Mapping[str, Any], settings: Mapping[str, int]) -> None:
        """The second frame of the handshake.

        Raises:
            ConfigurationError: the client has not sent its hello.
        """
        if self._keys is None:
            raise ConfigurationError("expect the hello of the client before you send that of the exchange")
        last_sequence = int(fields.get("last_sequence", 0))
        self.next_sequence = last_sequence + 1
        self._keys.challenge = challenge = os.urandom(int(fields.get("challenge_bytes", _KEY_BYTES)))
        version = fields.get("version", self._protocol.version)
        hello = ServerHello(challenge, last_sequence, self._aes_key, version)
        self.transport.send(damaged_frame(server_hello(hello, self._client_key), settings))

    def send_event(self, payload: bytes, settings: Mapping[str, Any]) -> None:
        """An event of the client's history."""
        number = settings.get("transaction", self.next_transaction)
        self.next_transaction = number + 1
        timestamp = float(settings.get("timestamp", _TIMESTAMP + number))
        self._send(
            _unpadded(self._encoder.padded_transaction(number, timestamp, with_fill(payload, settings))), settings
        )

    def send_response(self, payload: bytes, settings: Mapping[str, Any]) -> None:
        """The response to a request.

        Raises:
            ConfigurationError: no request is in flight, and the settings name none.
        """
        if "request" not in settings and not self._in_flight:
            raise ConfigurationError("no request is in flight; name one with [request 1]")
        number = settings.get("request", min(self._in_flight, default=0))
        self._in_flight.discard(number)
        self._send(_unpadded(self._encoder.padded_response(number, with_fill(payload, settings))), settings)

    def send_broadcast(self, payload: bytes, settings: Mapping[str, Any]) -> None:
        """A message to all clients."""
        self._send(self._encoder.broadcast(with_fill(payload, settings)), settings)

    def send_error(self, error_type: int, text: str, settings: Mapping[str, Any]) -> None:
        """An error."""
        self._send(self._encoder.error(error_type, text), settings)

    def send_throttling(self, fields: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """The demand to slow down."""
        level, request_id, order_id = (int(fields.get(name, 0)) for name in ("level", "request_id", "order_id"))
        self._send(self._encoder.throttling(level, request_id, order_id), settings)

    def _send(self, body: bytes, settings: Mapping[str, Any]) -> None:
        if "type" in settings:
            body = pack(">i", settings["type"]) + body[4:]
        self.transport.send(damaged_frame(sealed(body, self._sealer, settings), settings))

    # Receiving

    def read(self, data: bytes) -> Seen:
        """See :class:`End`."""
        keys = self._keys
        if keys is None:
            return self._read_hello(data)
        if not keys.is_proven:
            keys.is_proven = True
            if not self._client_key.verify(data, keys.challenge):
                raise InvalidKey("the proof is not the signature of the challenge")
            return Seen("proof")
        if data[:16] in self._ivs:
            raise DecodeError("the IV of an earlier frame was used again")
        self._ivs.add(data[:16])
        frame, signed, signature = self._decoder.decode(keys.opener.open(data))
        if self._protocol is Protocol.SIGNED and not self._client_key.verify(signature, signed):
            raise InvalidKey("the signature of a frame is not valid")
        if isinstance(frame, MessageFrame):
            if frame.sequence != self.next_sequence:
                raise DecodeError(f"sequence {frame.sequence} came where {self.next_sequence} is the next one")
            self.next_sequence += 1
            return Seen.of_payload("message", frame.payload, sequence=frame.sequence)
        if frame.request_id in self._in_flight:
            raise DecodeError(f"request id {frame.request_id} is already in flight")
        self._in_flight.add(frame.request_id)
        return Seen.of_payload("request", frame.payload, request=frame.request_id)

    def _read_hello(self, data: bytes) -> Seen:
        hello = read_client_hello(data, self._private_key)
        self._keys = _Keys(Opener(hello.aes_key, _MAX_FRAME_BYTES))
        self.next_transaction = max(hello.last_seen_order, 0) + 1
        if hello.version != self._protocol.version:
            raise UnsupportedVersion(f"version {hello.version} came where {self._protocol.version} was asked for")
        fields = {"client_id": hello.client_id, "resume": hello.last_seen_order, "version": hello.version}
        return Seen("hello", fields=fields)


def _unpadded(body: bytes) -> bytes:
    """A body without the padding of the cipher."""
    return body[: -body[-1]]
