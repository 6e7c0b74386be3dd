"""What decoding a frame to a typed message costs, against its floor and against the obvious codec."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

import cryptoproto as cp
from cryptoproto.messages import codec, decode
from cryptoproto.wire import ClientSession, ServerFrameCodec, TransactionFrame

from ..baselines import codec as obvious_codec
from ..machinery import samples
from ..machinery.effort import Effort
from ..machinery.measure import Pair, compare
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 15

_BATCH = 2000
_READ = 100
_KEY = bytes(range(32))
_DECODER = msgspec.json.Decoder(codec._FROM_SERVER.type)  # the same types as the codec decodes


def rows(effort: Effort) -> list[Row]:
    """V5 and SIGNED against the floor, and V5 against the obvious codec."""
    measure = partial(compare, items=_BATCH, blocks=effort.repeated(5), rounds=effort.rounds)
    return [
        Row.from_pairs(
            "decode",
            "decode a V5 event that comes alone, against bare AES and the JSON decoder",
            _against_floor(cp.Protocol.V5, measure),
            unit="ns",
            at_most=1.5,
        ),
        Row.from_pairs(
            "decode-read",
            f"decode a V5 event among the {_READ} of one read, against the same",
            _read_against_floor(measure),
            unit="ns",
            at_most=1.5,
        ),
        Row.from_pairs(
            "decode-signed",
            "decode a SIGNED event, against the same",
            _against_floor(cp.Protocol.SIGNED, measure),
            unit="ns",
        ),
        Row.from_pairs(
            "decode-obvious",
            "decode a V5 event, against the obvious codec",
            _against_obvious(measure),
            unit="ns",
            times_faster=6.0,
        ),
    ]


Measure = Callable[[Callable[[], None], Callable[[], None]], list[Pair]]


def _against_floor(protocol: cp.Protocol, measure: Measure) -> list[Pair]:
    ours, frames = _our_decoding(protocol)
    return measure(ours, _floor(frames))


def _read_against_floor(measure: Measure) -> list[Pair]:
    client, frames = _sealed(cp.Protocol.V5)
    reads = [frames[start : start + _READ] for start in range(0, _BATCH, _READ)]

    def ours() -> None:
        client.last_transaction_id = 0
        receive_all: Callable[[list[bytes]], Any] = client.receive_all  # every frame has a payload
        for read in reads:
            for frame in receive_all(read)[0]:
                decode(frame.payload)

    return measure(ours, _floor(frames))


def _floor(frames: list[bytes]) -> Callable[[], None]:
    raws = [samples.event_json(number) for number in range(1, _BATCH + 1)]

    def floor() -> None:
        update = Cipher(AES(_KEY), CBC(bytes(16))).decryptor().update
        decode_json = _DECODER.decode
        for frame, raw in zip(frames, raws, strict=True):
            update(frame)
            decode_json(raw)

    return floor


def _against_obvious(measure: Measure) -> list[Pair]:
    ours, frames = _our_decoding(cp.Protocol.V5)
    sealed = [obvious_codec.encrypt(_KEY, body) for body in _bodies()]
    if len(sealed[0]) != len(frames[0]):
        raise ValueError("the frames of the obvious codec have another size than ours")

    def obvious() -> None:
        decode_event = obvious_codec.decode_event
        for frame in sealed:
            decode_event(_KEY, frame)

    return measure(ours, obvious)


def _bodies() -> list[bytes]:
    encoder = ServerFrameCodec(cp.Protocol.V5)
    bodies = []
    for number in range(1, _BATCH + 1):
        padded = encoder.padded_transaction(number, samples.TIMESTAMP, samples.event_json(number))
        bodies.append(padded[: -padded[-1]])
    return bodies


def _our_decoding(protocol: cp.Protocol) -> tuple[Callable[[], None], list[bytes]]:
    client, frames = _sealed(protocol)
    if protocol is cp.Protocol.V5 and {len(frame) for frame in frames} != {samples.EVENT_FRAME_BYTES}:
        raise ValueError(f"not every sample event has a frame of {samples.EVENT_FRAME_BYTES} bytes")
    if not isinstance(client.receive(frames[0]), TransactionFrame):
        raise TypeError("a sample event was not decoded as a transaction")

    def ours() -> None:
        client.last_transaction_id = 0
        receive: Callable[[bytes], Any] = client.receive  # every frame has a payload
        for frame in frames:
            decode(receive(frame).payload)

    return ours, frames


def _sealed(protocol: cp.Protocol) -> tuple[ClientSession, list[bytes]]:
    """A session, and the frames that its server has for it."""
    client, server = samples.open_sessions(protocol)
    numbers = range(1, _BATCH + 1)
    return client, [server.transaction(number, samples.TIMESTAMP, samples.event_json(number)) for number in numbers]
