"""The keys of a profile: what each accepts, and what the error says about a value that cannot be used."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.profiles.values import KEYS, check_value, check_values, did_you_mean

WHERE = "[profiles.paper] of /a/config.toml"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"sever_key": "a"}, f"unknown key 'sever_key' in {WHERE}; did you mean 'server_key'?"),
        ({"URL": "a"}, f"unknown key 'URL' in {WHERE}; did you mean 'url'?"),
        ({"xyzzy": 1}, f"unknown key 'xyzzy' in {WHERE}; known are url, client_id, key,"),
        ({"url": ""}, f"url in {WHERE} must be text in quotes"),
        ({"url": "http://example.com"}, f"url in {WHERE}: 'http://example.com' is not a WebSocket address"),
        ({"market_data_url": "example.com"}, "market_data_url in"),
        ({"client_id": 7}, f"client_id in {WHERE} must be text in quotes"),
        ({"key": ["a"]}, f"key in {WHERE} must be text in quotes"),
        ({"key": "a\0b"}, f"key in {WHERE} must be text in quotes"),
        ({"store": "~no-such-user/a"}, f"store in {WHERE}: ~no-such-user is not the home folder of a user"),
        ({"protocol": "v6"}, f'protocol in {WHERE} must be "signed" or "v5"'),
        ({"transport": "curl"}, f'transport in {WHERE} must be "auto", "websockets" or "picows"'),
        ({"resend": True}, f'resend in {WHERE} must be "never" or "once"'),
        ({"insecure": "yes"}, f"insecure in {WHERE} must be true or false"),
        ({"exclusive": 1}, f"exclusive in {WHERE} must be true or false"),
        ({"order_rate": 0}, f"order_rate in {WHERE} must be a number greater than zero"),
        ({"order_rate": True}, f"order_rate in {WHERE} must be a number"),
        ({"open_timeout": Decimal("NaN")}, f"open_timeout in {WHERE} must be a number"),
        ({"ping_timeout": Decimal("1e999999")}, f"ping_timeout in {WHERE} must be a number"),
        ({"password_command": "pass show alice"}, f"password_command in {WHERE} must be a list of texts like"),
        ({"password_command": []}, "must be a list of texts"),
        ({"password_command": ["pass", 1]}, "must be a list of texts"),
        ({"instruments": {"trade_pair": "BTC_USD"}}, f"instruments in {WHERE} must be a table for each instrument"),
        ({"instruments": [{}]}, f'instrument 1 of {WHERE} has no trade_pair; write trade_pair = "BTC_USD"'),
        ({"instruments": [{"trade_pair": "A_B"}, {"pair": "C_D"}]}, f"unknown key 'pair' in instrument 2 of {WHERE}"),
        ({"instruments": [{"trade_pair": "A_B"}] * 2}, "A_B has an instrument above already"),
        ({"instruments": [{"trade_pair": "A_B", "tick_size": "x"}]}, f"tick_size of instrument 1 of {WHERE} must be a"),
        ({"instruments": [{"trade_pair": "A_B", "tick_size": 0}]}, "must be a number greater than zero, or one in"),
        ({"instruments": [{"trade_pair": "A_B", "lot_size": Decimal(-1)}]}, "lot_size of instrument 1"),
        ({"instruments": [{"trade_pair": "A_B", "lot_size": "Infinity"}]}, "lot_size of instrument 1"),
        ({"instruments": [{"trade_pair": "A_B", "lot_size": "1e-99"}]}, "lot_size of instrument 1"),
        ({"instruments": [{"trade_pair": "A_B", "lot_size": Decimal("1e99")}]}, "lot_size of instrument 1"),
        ({"instruments": [{"trade_pair": "BTCUSD"}]}, f"instrument 1 of {WHERE}: "),
        ({"instruments": [{"trade_pair": "A_B", "tick_size": "0.000000001"}]}, "A_B: tick_size"),
        ({"instruments": [{"trade_pair": "A_B", "min_amount": 2, "max_amount": 1}]}, "A_B: no amount is valid"),
        ({"limits": 1}, f"limits in {WHERE} must be a table"),
        ({"limits": {"max_amunt": 1}}, f"unknown key 'max_amunt' in limits in {WHERE}; did you mean 'max_amount'?"),
        ({"limits": {"max_value": {"BTC_USD": 0}}}, f"max_value of limits in {WHERE} must be a number greater than"),
        ({"limits": {"max_value": {"BTC_USD": True}}}, "or a table of them by pair or currency"),
        ({"limits": {"max_orders_per_second": Decimal("1.5")}}, "must be a whole number, 1 or more"),
        ({"limits": {"max_value": {"BTCUSD": 1}}}, f"limits in {WHERE}: trade pair 'BTCUSD' must name two currencies"),
        ({"limits": {"pairs": ["A_B"], "max_amount": {"A_C": 1}}}, f"limits in {WHERE}: max_amount['A_C'] limits"),
        ({"limits": {"price_band": {"BTCUSD": 1}}}, f"limits in {WHERE}: trade pair 'BTCUSD' must name two"),
        ({"limits": {"when_stale": "ignore"}}, f'when_stale of limits in {WHERE} must be "refuse" or "allow"'),
        ({"history": "yes"}, f"history in {WHERE} must be true or false"),
        ({"limits": {"price_band": "wide"}}, f"price_band of limits in {WHERE} must be a number"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(table: dict[str, Any], words: str) -> None:
    with pytest.raises(cp.ConfigurationError) as caught:
        check_values(table, WHERE)
    assert words in str(caught.value)
    assert "/a/config.toml" in str(caught.value)


def test_every_key_has_words_for_what_it_accepts() -> None:
    for key in KEYS:
        with pytest.raises(cp.ConfigurationError, match=r"here must be \S"):
            check_value(key, object(), "here")


def test_numbers_are_exact() -> None:
    table = {
        "order_rate": 5,
        "open_timeout": Decimal("2.5"),
        "instruments": [{"trade_pair": "BTC_USD", "tick_size": Decimal("0.01"), "lot_size": "0.0001", "min_amount": 1}],
        "limits": {"max_value": {"BTC_USD": "1000.10"}, "max_orders_per_second": 2, "max_amount": 5},
    }
    assert check_values(table, WHERE) == {
        "order_rate": 5.0,
        "open_timeout": 2.5,
        "instruments": [
            {
                "trade_pair": "BTC_USD",
                "tick_size": Decimal("0.01"),
                "lot_size": Decimal("0.0001"),
                "min_amount": Decimal(1),
            }
        ],
        "limits": {
            "max_value": {"BTC_USD": Decimal("1000.10")},
            "max_orders_per_second": 2,
            "max_amount": Decimal(5),
        },
    }


def test_a_value_that_cannot_be_used_is_not_shown() -> None:
    with pytest.raises(cp.ConfigurationError) as caught:
        check_value("protocol", "correct-horse", "protocol")
    assert "correct-horse" not in repr(caught.value)
    with pytest.raises(cp.ConfigurationError) as caught:
        check_value("url", "http://alice:correct-horse@example.com", "CRYPTOPROTO_URL")
    assert "correct-horse" not in repr(caught.value)


def test_the_nearest_name_is_suggested() -> None:
    assert did_you_mean("papr", ["live", "paper"]) == "; did you mean 'paper'?"
    assert did_you_mean("xyz", ["live", "paper"]) == ""
