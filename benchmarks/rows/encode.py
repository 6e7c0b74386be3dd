"""What encoding a typed order to a frame costs, against its floor and against the obvious codec."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

import cryptoproto as cp
from cryptoproto.messages import encode

from ..baselines import codec as obvious_codec
from ..machinery import samples
from ..machinery.effort import Effort
from ..machinery.measure import compare
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 15

_BATCH = 2000
_KEY = bytes(range(32))
_ENCODER = msgspec.json.Encoder()


def rows(effort: Effort) -> list[Row]:
    """V5 against the floor and against the obvious codec."""
    ours, frame_bytes = _our_encoding()
    measure = partial(compare, items=_BATCH, blocks=effort.repeated(5), rounds=effort.rounds)
    return [
        Row.from_pairs(
            "encode",
            "encode a V5 order, against bare AES, JSON encoder and urandom",
            measure(ours, _floor(frame_bytes)),
            unit="ns",
            at_most=1.25,
        ),
        Row.from_pairs(
            "encode-obvious",
            "encode a V5 order, against the obvious codec",
            measure(ours, _obvious()),
            unit="ns",
            times_faster=6.0,
        ),
    ]


def _our_encoding() -> tuple[Callable[[], None], int]:
    client, _ = samples.open_sessions(cp.Protocol.V5)
    orders = [samples.ORDER] * _BATCH

    def ours() -> None:
        message_frame = client.message_frame  # what a connection calls
        for order in orders:
            message_frame(encode(order))

    return ours, len(client.message_frame(encode(samples.ORDER))[1])


def _floor(frame_bytes: int) -> Callable[[], None]:
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

    return floor


def _obvious() -> Callable[[], None]:
    orders = [json.loads(encode(samples.ORDER))] * _BATCH

    def obvious() -> None:
        encode_message = obvious_codec.encode_message
        for sequence, order in enumerate(orders):
            encode_message(_KEY, sequence, order)

    return obvious
