"""The state of one connection, on the client's and the server's side: bytes to frames and back.

Neither class knows about sockets, clocks or tasks; randomness is passed in. A session first completes the handshake and
then exchanges frames::

    client   hello() ──► receive(server hello) = Opened, with the proof to send ──► receive, draft, sign, seal
    server   receive(client hello) = ClientHello ──► accept() ──► receive(proof) = Proven ──► receive, send
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from ..exceptions import (
    CryptoprotoError,
    DecodeError,
    HandshakeError,
    HistoryRewound,
    InvalidKey,
    InvalidSequence,
    ProtocolError,
    UnsupportedVersion,
)
from ..keys import PrivateKey, PublicKey
from .batch_reader import batch_reader
from .cipher import KEY_BYTES, MAX_FRAME_BYTES, PADDING, Opener, Sealer
from .codes import ClientFrameType, CloseCode, Protocol
from .frames import (
    ClientFrame,
    ClientFrameCodec,
    MessageFrame,
    ResponseFrame,
    ServerFrame,
    ServerFrameCodec,
    TransactionFrame,
)
from .handshake import (
    CHALLENGE_BYTES,
    ClientHello,
    ServerHello,
    client_hello,
    read_client_hello,
    read_server_hello,
    server_hello,
)

__all__ = ["ClientSession", "Draft", "Opened", "Proven", "ServerSession"]

Random: TypeAlias = Callable[[int], bytes]

_MESSAGE: Final = int(ClientFrameType.MESSAGE)  # an enum lookup costs as much as packing the frame
_RPC_REQUEST: Final = int(ClientFrameType.RPC_REQUEST)


class Opened(msgspec.Struct, frozen=True):
    """The server's hello was read: the session is open once *proof* has been sent."""

    last_sequence: int
    version: int | None
    proof: bytes


class Proven(msgspec.Struct, frozen=True):
    """The client has proven that it holds its private key."""


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A client frame that has its number, but is not signed or sealed yet."""

    kind: int
    number: int
    payload: bytes


class ClientSession:
    """The client's side of one connection.

    Args:
        client_id: the id under which our public key is registered.
        private_key: our RSA key; decrypts the server's hello and signs the challenge.
        server_key: the exchange's public key.
        resume_from: the last transaction id already processed; 0 = from the start, -1 = live events only.
        protocol: the form of the frame bodies.
        random: returns the requested number of unpredictable bytes.
        max_frame_bytes: larger frames are rejected before they are decrypted.

    Attributes:
        last_sequence: the last sequence that the server had seen from us, as of the handshake.
        next_sequence: the sequence of the next message.
        last_transaction_id: the highest transaction id received; transactions up to it are skipped.
    """

    def __init__(
        self,
        *,
        client_id: str,
        private_key: PrivateKey,
        server_key: PublicKey,
        random: Random,
        resume_from: int = 0,
        protocol: Protocol = Protocol.SIGNED,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self.protocol = protocol
        self.last_sequence: int = 0
        self.next_sequence: int = 0
        self.last_transaction_id: int = resume_from
        self._private_key = private_key
        self._random = random
        self._max_frame_bytes = max_frame_bytes
        self._next_request_id = 1
        self._replay_is_over = False
        self._aes_key = random(KEY_BYTES)
        hello = ClientHello(client_id, resume_from, self._aes_key, protocol.version)
        self._hello = client_hello(hello, server_key)
        self._encoder = ClientFrameCodec(protocol)
        self._decoder = ServerFrameCodec(protocol)
        self._sealer: Sealer | None = None
        self._read: Callable[[bytes], ServerFrame | Opened | None] = self._receive_hello
        self._read_batch: Callable[[list[bytes]], list[TransactionFrame | ResponseFrame | None]] = lambda frames: []
        self._reread: Callable[[bytes], ServerFrame]  # set, like _write, when the handshake completes
        self._write: Callable[[int, int, bytes], bytes]

    def hello(self) -> bytes:
        """The first frame to send."""
        return self._hello

    def receive(self, frame: bytes) -> ServerFrame | Opened | None:
        """Decode *frame*: first :class:`Opened`, then a server frame each; ``None`` for a replayed transaction.

        Raises:
            InvalidKey, UnsupportedVersion: the handshake failed.
            DecodeError: the frame is damaged or malformed. The session cannot be used afterwards.
            HistoryRewound: a transaction id that does not exceed the last one came after the first response. Only the
                replay before it may repeat transactions.
        """
        received = self._read(frame) or self._reread(frame)
        if type(received) is TransactionFrame:
            transaction_id = received.transaction_id
            # Ids grow, with gaps. Up to the highest one, they were processed before the reconnect.
            if transaction_id <= self.last_transaction_id:
                if self._replay_is_over:
                    raise HistoryRewound(self.last_transaction_id, transaction_id)
                return None
            self.last_transaction_id = transaction_id
        elif type(received) is ResponseFrame:
            self._replay_is_over = True  # the server replays everything before it answers a request
        return received

    def receive_all(self, frames: list[bytes]) -> tuple[list[ServerFrame | Opened], CryptoprotoError | None]:
        """Decode the frames of one read, in two thirds of the time that :meth:`receive` needs for them.

        Returns what :meth:`receive` returns for each, without replayed transactions. Where that raises, the list ends,
        and the error is returned as well.
        """
        received: list[ServerFrame | Opened] = []
        results = self._read_batch(frames)
        results += [None] * (len(frames) - len(results))
        try:
            for frame, result in zip(frames, results, strict=True):
                if type(result) is TransactionFrame and result.transaction_id > self.last_transaction_id:
                    self.last_transaction_id = result.transaction_id
                    received.append(result)
                elif type(result) is ResponseFrame:
                    self._replay_is_over = True
                    received.append(result)
                elif (other := self.receive(frame)) is not None:
                    received.append(other)
        except (HandshakeError, DecodeError, HistoryRewound) as error:
            return received, error
        return received, None

    def _receive_hello(self, frame: bytes) -> Opened:
        if len(frame) > self._max_frame_bytes:
            raise DecodeError(f"a frame of {len(frame)} bytes exceeds the limit of {self._max_frame_bytes}")
        hello = read_server_hello(frame, self._private_key, self.protocol)
        self._sealer = Sealer(self._aes_key, self._random)
        self._write = self._encoder.writer(self._sealer)
        opener = Opener(hello.aes_key, self._max_frame_bytes)
        self._read = self._decoder.reader(opener)
        self._read_batch = batch_reader(self.protocol, opener)
        self._reread = lambda frame: self._decoder.decode(opener.open(frame))
        self.last_sequence = hello.last_seen_sequence
        self.next_sequence = hello.last_seen_sequence + 1
        return Opened(hello.last_seen_sequence, hello.version, self._private_key.sign(hello.challenge))

    def draft_message(self, payload: bytes) -> Draft:
        """Assign the next sequence to the JSON *payload*. It must then be sent: the server accepts no gaps."""
        sequence = self.next_sequence
        self.next_sequence = sequence + 1
        return Draft(_MESSAGE, sequence, payload)

    def draft_request(self, payload: bytes) -> Draft:
        """Assign a request id to the JSON *payload*."""
        request_id = self._next_request_id
        self._next_request_id = request_id + 1
        return Draft(_RPC_REQUEST, request_id, payload)

    def request_frame(self, payload: bytes) -> tuple[int, bytes]:
        """The request id and the frame of a request with ``V5``, which is not signed and so needs no draft.

        A round trip runs with cold caches, so avoiding one call here saves about ten times its usual cost.
        """
        request_id = self._next_request_id
        self._next_request_id = request_id + 1
        return request_id, self._write(_RPC_REQUEST, request_id, payload)

    def message_frame(self, payload: bytes) -> tuple[int, bytes]:
        """The sequence and the frame of a client message with ``V5``; see :meth:`request_frame`."""
        sequence = self.next_sequence
        self.next_sequence = sequence + 1
        return sequence, self._write(_MESSAGE, sequence, payload)

    def signed_body(self, draft: Draft) -> bytes:
        """A draft with its signature, for :meth:`seal_body`.

        Signing takes 0.2 ms or more with RSA-2048, and may be done in another thread.
        """
        data = self._encoder.data(draft.number, draft.payload)
        body = self._encoder.signed_body(draft.kind, data, self._private_key.sign(data))
        return body + PADDING[len(body) & 15]

    def take_sequence(self) -> int:
        """Assign the next sequence to a message that was signed for it. It must then be sent."""
        sequence = self.next_sequence
        self.next_sequence = sequence + 1
        return sequence

    def seal_body(self, body: bytes) -> bytes:
        """The frame of a :meth:`signed_body`. Frames must be sent in the order in which they are sealed.

        Raises:
            ProtocolError: the handshake is not complete.
        """
        sealer = self._sealer
        if sealer is None:
            raise ProtocolError("the handshake is not complete")
        return sealer.seal_padded(body)


SPOKEN_VERSIONS: Final = {protocol.version: protocol for protocol in Protocol}


class ServerSession:
    """The server's side of one connection.

    Args:
        private_key: the exchange's RSA key.
        random: returns the requested number of unpredictable bytes.
        max_frame_bytes: larger frames are rejected before they are decrypted.

    Attributes:
        next_sequence: the sequence that the next client message must have.
    """

    def __init__(self, private_key: PrivateKey, random: Random, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.next_sequence: int = 0
        self._private_key = private_key
        self._random = random
        self._max_frame_bytes = max_frame_bytes
        self._hello: ClientHello | None = None
        self._challenge = b""
        self._client_key: PublicKey | None = None
        self._protocol = Protocol.SIGNED
        self._signed = True
        self._decoder = ClientFrameCodec(Protocol.SIGNED)
        self._encoder = ServerFrameCodec(Protocol.SIGNED)
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._read: Callable[[bytes], ClientFrame | None]  # set when the handshake completes

    @property
    def protocol(self) -> Protocol:
        """The protocol that the client chose in its hello."""
        return self._protocol

    def receive(self, frame: bytes) -> ClientHello | Proven | ClientFrame:
        """Decode *frame*: first :class:`ClientHello`, then :class:`Proven`, then a client frame each.

        Raises:
            InvalidKey: the hello cannot be decrypted, or the proof or the signature of a message is invalid.
            UnsupportedVersion: the client speaks an unsupported version.
            InvalidSequence: the sequence of a message is not the next one.
            DecodeError: the frame is damaged or malformed. The session cannot be used afterwards.
        """
        opener = self._opener
        if opener is not None:
            received = (None if self._signed else self._read(frame)) or self._verified(opener.open(frame))
            if type(received) is MessageFrame:
                if received.sequence != self.next_sequence:
                    raise InvalidSequence(
                        CloseCode.INVALID_SEQUENCE, f"expected sequence {self.next_sequence}, got {received.sequence}"
                    )
                self.next_sequence += 1
            return received
        if len(frame) > self._max_frame_bytes:
            raise DecodeError(f"a frame of {len(frame)} bytes exceeds the limit of {self._max_frame_bytes}")
        if self._hello is None:
            return self._receive_hello(frame)
        return self._receive_proof(frame)

    def _receive_hello(self, frame: bytes) -> ClientHello:
        hello = read_client_hello(frame, self._private_key)
        try:
            self._protocol = SPOKEN_VERSIONS[hello.version]
        except KeyError:
            raise UnsupportedVersion(
                f"version {hello.version} of the protocol is not supported: send version 5, or none"
            ) from None
        self._signed = self._protocol is Protocol.SIGNED
        self._decoder = ClientFrameCodec(self._protocol)
        self._encoder = ServerFrameCodec(self._protocol)
        self._hello = hello
        return hello

    def accept(self, client_key: PublicKey, last_sequence: int) -> bytes:
        """The server's hello to a registered client.

        Args:
            client_key: the public key registered for the client id.
            last_sequence: the last sequence received from that client, 0 if none was.

        Raises:
            ProtocolError: the client's hello has not been received.
        """
        if self._hello is None:
            raise ProtocolError("the client has not sent its hello")
        aes_key = self._random(KEY_BYTES)
        self._challenge = self._random(CHALLENGE_BYTES)
        self._client_key = client_key
        self._sealer = Sealer(aes_key, self._random)
        self.next_sequence = last_sequence + 1
        hello = ServerHello(self._challenge, last_sequence, aes_key, self._protocol.version)
        return server_hello(hello, client_key)

    def _receive_proof(self, frame: bytes) -> Proven:
        if self._client_key is None or self._hello is None:
            raise DecodeError("received a frame before the server's hello was sent")
        if not self._client_key.verify(frame, self._challenge):
            raise InvalidKey("the challenge was not signed with the registered key")
        self._opener = Opener(self._hello.aes_key, self._max_frame_bytes)
        self._read = self._decoder.reader(self._opener)
        return Proven()

    def _verified(self, body: bytes) -> ClientFrame:
        frame, data, signature = self._decoder.decode(body)
        if self._signed and not (self._client_key and self._client_key.verify(signature, data)):
            raise InvalidKey("a message was not signed with the registered key")
        return frame

    def transaction(self, transaction_id: int, timestamp: float, payload: bytes) -> bytes:
        """The frame of one event."""
        sealer = self._sealer or self._ready()
        return sealer.seal_padded(self._encoder.padded_transaction(transaction_id, timestamp, payload))

    def response(self, request_id: int, payload: bytes) -> bytes:
        """The frame that answers an RPC request."""
        sealer = self._sealer or self._ready()
        return sealer.seal_padded(self._encoder.padded_response(request_id, payload))

    def error(self, error_type: int, text: str) -> bytes:
        """The frame of an error; the caller closes the connection afterwards."""
        return self._ready().seal(self._encoder.error(error_type, text))

    def broadcast(self, payload: bytes) -> bytes:
        """The frame of a broadcast."""
        return self._ready().seal(self._encoder.broadcast(payload))

    def throttling(self, level: int, request_id: int, order_id: int) -> bytes:
        """The frame that asks the client to slow down."""
        return self._ready().seal(self._encoder.throttling(level, request_id, order_id))

    def _ready(self) -> Sealer:
        sealer = self._sealer
        if sealer is None:
            raise ProtocolError("the handshake is not complete")
        return sealer
