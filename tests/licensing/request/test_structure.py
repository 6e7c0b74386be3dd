"""200,000 mutated messages and boxes: each is read, or refused with the documented error, and nothing else happens."""

from __future__ import annotations

import random
import struct

import pytest

from cryptoproto.licensing import (
    LicenseRequest,
    LicenseToken,
    MalformedMessage,
)
from cryptoproto.licensing.request.codec import decode, encode
from cryptoproto.licensing.request.layout import LICENSE_REQUEST, LICENSE_TOKEN, SIGNED_TOKEN, Layout
from cryptoproto.licensing.request.structure import check_structure
from tests.support.licensing.mutations import mutations, survey
from tests.support.licensing.samples import full_request


def test_15_000_mutated_requests(request_message: bytes) -> None:
    good, refused = survey(mutations(request_message, 15_000, seed=1), LicenseRequest.decode, MalformedMessage)
    assert good + refused == 15_000
    assert refused > 4_000
    assert good > 1_000  # a changed count is a fine request


def test_every_truncation(request_message: bytes, token_message: bytes) -> None:
    for size in range(len(request_message)):
        with pytest.raises(MalformedMessage):
            decode(LICENSE_REQUEST, request_message[:size])
    for size in range(len(token_message)):
        with pytest.raises(MalformedMessage):
            LicenseToken.decode(token_message[:size])


def test_noise() -> None:
    rng = random.Random(6)
    for _ in range(2_000):
        noise = struct.pack("<I", rng.randrange(64)) + b"CPLQ" + rng.randbytes(rng.randrange(200))
        with pytest.raises(MalformedMessage):
            LicenseRequest.decode(noise)


def test_one_kind_of_message_never_passes_for_another() -> None:
    message = encode(LICENSE_REQUEST, full_request())
    for layout in (LICENSE_TOKEN, SIGNED_TOKEN):
        with pytest.raises(MalformedMessage, match=r"another kind of message|at most"):
            check_structure(message, layout)


def test_fields_of_a_later_version_are_passed_over() -> None:
    message = encode(LICENSE_REQUEST, full_request())
    earlier = Layout(LICENSE_REQUEST.table, LICENSE_REQUEST.identifier, 32_768, LICENSE_REQUEST.fields[:40])
    assert decode(earlier, message) == {field.name: full_request()[field.name] for field in earlier.fields}
