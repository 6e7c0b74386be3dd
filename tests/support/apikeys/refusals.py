"""Expecting that the gateway refuses a request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

import cryptoproto as cp

__all__ = ["refused"]


@contextlib.contextmanager
def refused(status: int, words: str) -> Iterator[None]:
    """Fail unless the block is refused with this status and a description with these words."""
    with pytest.raises(cp.CredentialsRefused) as caught:
        yield
    assert caught.value.status == status
    assert words in caught.value.description
