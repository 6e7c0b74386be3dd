"""``order``, ``request`` and ``tail``: trading by hand on a real exchange."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell

pytestmark = pytest.mark.usefixtures("venue")


def test_trading_by_hand(shell: Shell) -> None:
    placed = shell("order", "buy", "BTC_USD", "0.5", "15000", "--json")
    assert placed.code == 0, placed.err
    assert [line["payload"]["@type"] for line in placed.lines] == ["SetBalance", "BuyOrderPlaced"]
    order_id = placed.lines[-1]["payload"]["order_id"]

    balances = shell("request", "balances", "--json")
    assert balances.lines[0]["balances"]["USD"] == {"available": "92500.00000000", "on_hold": "7500.00000000"}

    orders = shell("request", "orders")
    assert orders.code == 0
    assert "BTC_USD" in orders.out
    assert "15000.00000000" in orders.out

    cancelled = shell("order", "cancel", str(order_id), "--json")
    assert cancelled.code == 0
    assert cancelled.lines[0]["payload"]["@type"] == "BuyOrderCancelled"

    again = shell("order", "cancel", str(order_id))
    assert again.code == 1
    assert f"order {order_id} is not open" in again.err


def test_cancelling_everything(shell: Shell) -> None:
    assert shell("order", "sell", "BTC_USD", "1", "16000", "--time-in-force", "ioc").code == 0
    placed = shell("order", "buy", "BTC_USD", "1", "10", "--ttl", "60")
    assert placed.code == 0
    assert "accepted" in placed.err
    assert shell("order", "buy", "BTC_USD", "1", "11").code == 0
    assert shell("order", "cancel-all", "--json").lines == [{"cancelled": 2, "open_orders": 0}]
    assert "there were no open orders" in shell("order", "cancel-all").err
    assert shell("order", "buy", "BTC_USD", "1", "11").code == 0
    assert "1 order cancelled, none left open" in shell("order", "cancel-all").err


def test_tail_shows_the_events_so_far(shell: Shell) -> None:
    for price in ("10", "11"):
        assert shell("order", "buy", "BTC_USD", "1", price).code == 0
    tail = shell("tail", "--count", "4", "--json")
    assert tail.code == 0
    ids = [line["transaction_id"] for line in tail.lines]
    assert len(ids) == 4
    assert ids == sorted(set(ids))
    shown = shell("tail", "--count", "2", "--protocol", "v5")
    assert "BuyOrderPlaced" in shown.out


def test_balances_and_other_responses_are_shown(shell: Shell) -> None:
    balances = shell("request", "balances")
    assert balances.code == 0
    assert "100000.00000000" in balances.out
    unknown = shell("request", "NoSuchRequest")
    assert unknown.code == 1
    assert "Traceback" not in unknown.err


@pytest.mark.parametrize(
    ("order", "words"), [(("BTC_USD", "1000", "15000"), "not enough USD"), (("NO_SUCH", "1", "1"), "error 2")]
)
def test_an_order_that_is_refused(shell: Shell, order: tuple[str, ...], words: str) -> None:
    refused = shell("order", "buy", *order)
    assert refused.code == 1
    assert words in refused.err
    assert "Traceback" not in refused.err


def test_an_encrypted_key_asks_for_its_password(shell: Shell, venue: Exchange) -> None:
    bob = cp.PrivateKey.generate()
    bob.save(shell.folder / "bob.pem", password="secret")
    venue.register("bob", bob.public_key, {"USD": "5"})
    shell.environment |= {"CRYPTOPROTO_KEY": "bob.pem", "CRYPTOPROTO_CLIENT_ID": "bob"}
    opened = shell("request", "balances", "--json", stdin="secret\n")
    assert opened.code == 0, opened.err
    assert "Password of bob.pem" in opened.out + opened.err
    refused = shell("request", "balances", stdin="wrong\n")
    assert refused.code == 2
    assert "Traceback" not in refused.err
