"""The names of trade pairs."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.instruments import split_pair


def test_a_pair_names_two_currencies() -> None:
    assert split_pair("BTC_USD") == ("BTC", "USD")


@pytest.mark.parametrize("name", ["", "BTC", "BTC_", "_USD", "BTC_USD_", "BTC_BTC", None, 7, ["BTC_USD"]])
def test_what_is_not_a_pair(name: object) -> None:
    with pytest.raises(cp.ConfigurationError, match=r'must name two currencies, like "BTC_USD"'):
        split_pair(name)
