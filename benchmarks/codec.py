"""The codec alone: against its floor, and against the obvious codec."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

import cryptoproto as cp
from cryptoproto.messages import codec, encode
from cryptoproto.messages import decode as decode_message
from cryptoproto.wire import ServerFrameCodec, TransactionFrame

from . import baseline_codec, samples
from .measure import Pair, cpu_ns_per_item, in_turns, without_gc
from .report import Effort, Row

__all__ = ["decode_rows", "encode_rows"]

_BATCH = 2000
_KEY = bytes(range(32))
_DECODER = msgspec.json.Decoder(codec._FROM_SERVER.type)  # the very types that the codec decodes
_ENCODER = msgspec.json.Encoder()


def decode_rows(effort: Effort) -> list[Row]:
    """Frame to typed message: V5 and SIGNED against the floor, and V5 against the obvious codec."""
    return [
        Row.from_pairs(
            "decode",
            "decode a V5 event, against bare AES and the JSON decoder",
            _decode(cp.Protocol.V5, effort),
            unit="ns",
            at_most=2.0,
        ),
        Row.from_pairs(
            "decode-signed",
            "decode a SIGNED event, against the same",
            _decode(cp.Protocol.SIGNED, effort),
            unit="ns",
        ),
        Row.from_pairs(
            "decode-obvious",
            "decode a V5 event, against the obvious codec",
            _decode_obvious(effort),
            unit="ns",
            times_faster=6.0,
        ),
    ]


def encode_rows(effort: Effort) -> list[Row]:
    """Typed order to frame, against the floor and against the obvious codec."""
    return [
        Row.from_pairs(
            "encode",
            "encode a V5 order, against bare AES, JSON encoder and urandom",
            _encode(effort),
            unit="ns",
            at_most=2.0,
        ),
        Row.from_pairs(
            "encode-obvious",
            "encode a V5 order, against the obvious codec",
            _encode_obvious(effort),
            unit="ns",
            times_faster=6.0,
        ),
    ]


def _decode(protocol: cp.Protocol, effort: Effort) -> list[Pair]:
    ours, frames = _our_decoding(protocol)
    raws = [samples.event_json(number) for number in range(1, _BATCH + 1)]

    def floor() -> None:
        update = Cipher(AES(_KEY), CBC(bytes(16))).decryptor().update
        decode = _DECODER.decode
        for frame, raw in zip(frames, raws, strict=True):
            update(frame)
            decode(raw)

    return _compare(ours, floor, effort)


def _decode_obvious(effort: Effort) -> list[Pair]:
    ours, frames = _our_decoding(cp.Protocol.V5)
    sealed = [baseline_codec.encrypt(_KEY, body) for body in _bodies()]
    if len(sealed[0]) != len(frames[0]):
        raise ValueError("the obvious codec's frames have another size")

    def obvious() -> None:
        decode = baseline_codec.decode_event
        for frame in sealed:
            decode(_KEY, frame)

    return _compare(ours, obvious, effort)


def _bodies() -> list[bytes]:
    encoder = ServerFrameCodec(cp.Protocol.V5)
    bodies = []
    for number in range(1, _BATCH + 1):
        padded = encoder.padded_transaction(number, samples.TIMESTAMP, samples.event_json(number))
        bodies.append(padded[: -padded[-1]])
    return bodies


def _our_decoding(protocol: cp.Protocol) -> tuple[Callable[[], None], list[bytes]]:
    client, server = samples.open_sessions(protocol)
    frames = [
        server.transaction(number, samples.TIMESTAMP, samples.event_json(number)) for number in range(1, _BATCH + 1)
    ]
    if protocol is cp.Protocol.V5 and {len(frame) for frame in frames} != {samples.EVENT_FRAME_BYTES}:
        raise ValueError("the sample events do not make frames of the size that the row is about")
    if not isinstance(client.receive(frames[0]), TransactionFrame):
        raise TypeError("a sample event is no transaction")

    def ours() -> None:
        client.last_transaction_id = 0
        receive = client.receive
        for frame in frames:
            decode_message(receive(frame).payload)  # type: ignore[union-attr]

    return ours, frames


def _our_encoding() -> tuple[Callable[[], None], int]:
    client, _ = samples.open_sessions(cp.Protocol.V5)
    orders = [samples.ORDER] * _BATCH

    def ours() -> None:
        draft, seal = client.draft_message, client.seal
        for order in orders:
            seal(draft(encode(order)))

    return ours, len(client.seal(client.draft_message(encode(samples.ORDER))))


def _encode(effort: Effort) -> list[Pair]:
    ours, frame_bytes = _our_encoding()
    orders = [samples.ORDER] * _BATCH
    bodies = [os.urandom(frame_bytes) for _ in range(_BATCH)]

    def floor() -> None:
        update = Cipher(AES(_KEY), CBC(bytes(16))).encryptor().update
        dump = _ENCODER.encode
        random = os.urandom
        for order, body in zip(orders, bodies, strict=True):
            dump(order)
            random(16)
            update(body)

    return _compare(ours, floor, effort)


def _encode_obvious(effort: Effort) -> list[Pair]:
    ours, _ = _our_encoding()
    orders = [json.loads(encode(samples.ORDER))] * _BATCH

    def obvious() -> None:
        encode_message = baseline_codec.encode_message
        for sequence, order in enumerate(orders):
            encode_message(_KEY, sequence, order)

    return _compare(ours, obvious, effort)


def _compare(ours: Callable[[], None], other: Callable[[], None], effort: Effort) -> list[Pair]:
    blocks = effort.blocks
    with without_gc():
        ours()
        other()
        return in_turns(
            lambda: cpu_ns_per_item(ours, _BATCH, blocks),
            lambda: cpu_ns_per_item(other, _BATCH, blocks),
            effort.rounds,
        )
