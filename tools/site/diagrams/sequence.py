"""The frames of a connection, recorded from a client's and a server's session that talk to each other."""

from __future__ import annotations

import json
import os
from typing import Final, NamedTuple

from cryptoproto import ErrorType, PrivateKey, Protocol
from cryptoproto.wire import (
    BroadcastFrame,
    ClientSession,
    ErrorFrame,
    MessageFrame,
    RequestFrame,
    ResponseFrame,
    ServerSession,
    ThrottlingFrame,
    TransactionFrame,
)
from cryptoproto.wire.handshake import ClientHello
from cryptoproto.wire.session import Opened, Proven

from .drawing import Drawing

__all__ = ["Step", "recorded", "sequence"]

_LAST_SEQUENCE: Final = 41
_RESUME_FROM: Final = 1007


class Step(NamedTuple):
    """One frame: who sent it, what it is, and what is in it."""

    from_client: bool
    title: str
    content: str


def recorded(protocol: Protocol) -> list[Step]:
    """A handshake and a frame of each type, as the other end has read them."""
    client_key, server_key = PrivateKey.generate(), PrivateKey.generate()
    client = ClientSession(
        client_id="alice", private_key=client_key, server_key=server_key.public_key, random=os.urandom,
        resume_from=_RESUME_FROM, protocol=protocol,
    )  # fmt: skip
    server = ServerSession(server_key, os.urandom)
    steps = [_read_by_server(server, client.hello())]
    opened = client.receive(server.accept(client_key.public_key, _LAST_SEQUENCE))
    assert isinstance(opened, Opened)
    steps.append(
        Step(
            False,
            "hello, RSA-OAEP",
            _content(challenge="32 bytes", last_seen_sequence=opened.last_sequence, version=opened.version),
        )
    )
    steps.append(_read_by_server(server, opened.proof))

    order, request = b'{"@type":"PlaceBuyLimitOrder"}', b'{"@type":"UserBalanceRequest"}'
    if protocol is Protocol.SIGNED:
        drafts = (client.draft_message(order), client.draft_request(request))
        sent = [client.seal_body(client.signed_body(draft)) for draft in drafts]
    else:
        sent = [client.message_frame(order)[1], client.request_frame(request)[1]]
    steps += [_read_by_server(server, frame) for frame in sent]
    frames = (
        server.transaction(_RESUME_FROM + 4, 1.7e9, b'{"@type":"BuyOrderPlaced"}'),
        server.response(1, b'{"@type":"UserBalanceResponse"}'),
        server.throttling(3, 0, 12),
        server.broadcast(b'{"@type":"TradesDisabledOnPairs"}'),
        server.error(ErrorType.INVALID_PAYLOAD, "amount is missing"),
    )
    return steps + [_read_by_client(client, frame) for frame in frames]


def _read_by_server(server: ServerSession, frame: bytes) -> Step:
    received = server.receive(frame)
    if isinstance(received, ClientHello):
        content = _content(
            client_id=received.client_id, last_seen_order=received.last_seen_order, version=received.version
        )
        return Step(True, "hello, RSA-OAEP", content)
    if isinstance(received, Proven):
        return Step(True, "proof, RSA-PSS", "signature of the challenge")
    signed = ", signed" if server.protocol is Protocol.SIGNED else ""
    if isinstance(received, MessageFrame):
        return Step(True, f"message{signed}", _content(sequence=received.sequence, json=_type(received.payload)))
    assert isinstance(received, RequestFrame)
    return Step(True, f"RPC request{signed}", _content(request_id=received.request_id, json=_type(received.payload)))


def _read_by_client(client: ClientSession, frame: bytes) -> Step:
    received = client.receive(frame)
    match received:
        case TransactionFrame():
            return Step(
                False, "message", _content(transaction_id=received.transaction_id, json=_type(received.payload))
            )
        case ResponseFrame():
            return Step(False, "RPC response", _content(request_id=received.request_id, json=_type(received.payload)))
        case ThrottlingFrame():
            return Step(False, "throttling", _content(level=received.level))
        case BroadcastFrame():
            return Step(False, "broadcast", _type(received.payload))
        case ErrorFrame():
            return Step(False, "error, then close 1008", f"type {received.error_type}: {received.text}")
    raise AssertionError(f"{received} is not a frame of a server")


def _content(**values: object) -> str:
    return " · ".join(
        f"{value}" if name == "json" else f"{name.replace('_', ' ')} {value}"
        for name, value in values.items()
        if value is not None
    )


def _type(payload: bytes) -> str:
    return str(json.loads(payload)["@type"])


def sequence(protocol: Protocol) -> str:
    """The diagram of one form of the protocol."""
    steps = recorded(protocol)
    left, right, top, distance = 110, 590, 92, 58
    drawing = Drawing(
        700, top + distance * len(steps) + 10, f"The frames of a connection with Protocol.{protocol.name}"
    )
    bottom = top + distance * len(steps) - 20
    for x, name in ((left, "client"), (right, "exchange")):
        drawing.box(x, 34, 130, 34, name)
        drawing.line(x, 51, x, bottom, "life")
    handshake = sum("RSA" in step.title for step in steps)
    for number, step in enumerate(steps):
        y = top + distance * number + (10 if number >= handshake else 0)
        drawing.text((left + right) / 2, y - 7, step.title, "strong")
        drawing.text((left + right) / 2, y + 16, step.content, "quiet")
        ends = ((left, y), (right, y))
        drawing.arrow(*(ends if step.from_client else ends[::-1]))
    y = top + distance * handshake - 24
    drawing.line(left - 90, y, right + 90, y, "life")
    drawing.text(left - 90, y - 6, "handshake", "quiet", "start")
    drawing.text(left - 90, y + 17, "AES-256-CBC", "quiet", "start")
    return drawing.svg()
