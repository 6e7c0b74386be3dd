"""The root, and errors in how the package is used."""

from __future__ import annotations

import pytest

import cryptoproto as cp


def test_an_error_that_concerns_no_call_does_not_say_whether_it_was_sent() -> None:
    assert cp.CryptoprotoError("no call").sent is None
    assert cp.ConfigurationError("no call").sent is None


def test_an_invalid_order_was_never_sent() -> None:
    error = cp.OrderInvalid("price must be greater than zero")
    assert error.sent is False
    assert str(error) == "price must be greater than zero"


def test_an_invalid_order_is_caught_as_a_wrong_argument() -> None:
    with pytest.raises(ValueError, match="price"):
        raise cp.OrderInvalid("price must be greater than zero")
