"""The parts of XDR that frames use, against xdrlib3."""

from __future__ import annotations

import xdrlib3
from hypothesis import given
from hypothesis import strategies as st

from cryptoproto.wire.xdr import FILL, padded


@given(st.binary(max_size=40))
def test_opaque_data_is_padded_as_by_xdrlib(data: bytes) -> None:
    packer = xdrlib3.Packer()
    packer.pack_fopaque(len(data), data)
    assert padded(data) == packer.get_buffer()
    assert padded(data) == data + FILL[len(data) % 4]
