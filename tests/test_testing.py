"""The pytest plugin, as it is used in a project of somebody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import blocks

pytest_plugins = ["pytester"]

BOT = """
import pytest
import cryptoproto as cp

{mark}
async def test_my_bot(exchange, trading_client, make_trading_client):
    order = await trading_client.place("BTC_USD", cp.Side.BUY, amount="1", price="15000")
    bob = await make_trading_client("bob", balances={{"BTC": "2"}})
    await bob.place("BTC_USD", cp.Side.SELL, amount="1", price="15000")
    await order.wait_filled(timeout=5)
    assert exchange.connected_clients == ("trader", "bob")

{mark}
async def test_each_test_has_its_own_exchange(exchange, trading_client):
    assert (await trading_client.balances())["BTC"].available == 100
    assert exchange.connected_clients == ("trader",)

{mark}
async def test_the_exchange_alone(exchange):
    assert exchange.connected_clients == ()
"""

MY_BOT = """
import cryptoproto as cp

async def my_bot(client):
    await client.place("BTC_USD", cp.Side.BUY, amount="1", price="15000")
    await client.cancel_all()
"""
PAGE = Path(__file__).parents[1] / "docs/client.md"


def run(pytester: pytest.Pytester, *arguments: str, all_plugins: bool = False) -> pytest.RunResult:
    """Run what the pytester has: with *all_plugins* as people do, or with those that matter, in half the time."""
    options = ["-W", "error", "-p", "no:cacheprovider"]
    with_asyncio = "no:asyncio" not in arguments
    if with_asyncio:
        options += ["-o", "asyncio_default_fixture_loop_scope=function"]
    with pytest.MonkeyPatch.context() as patch:
        if not all_plugins:
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            options += [*(["-p", "asyncio"] if with_asyncio else []), "-p", "_cryptoproto_pytest"]
        return pytester.runpytest_subprocess(*arguments, *options, timeout=60)


def test_with_the_mode_auto(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_mode = auto")
    pytester.makepyfile(
        test_bot=BOT.format(mark=""),
        test_page="".join(block.code for block in blocks(PAGE) if block.language == "py"),
        my_bot=MY_BOT,
    )
    pytester.syspathinsert()
    run(pytester, all_plugins=True).assert_outcomes(passed=4)


def test_with_the_mode_strict(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_mode = strict")
    pytester.makepyfile(BOT.format(mark="@pytest.mark.asyncio"))
    run(pytester).assert_outcomes(passed=3)


@pytest.mark.parametrize("missing", ["disabled", "not installed"])
def test_without_pytest_asyncio_it_says_so(pytester: pytest.Pytester, missing: str) -> None:
    pytester.makepyfile("def test_my_bot(trading_client): pass\ndef test_other(): pass")
    if missing == "disabled":
        result = run(pytester, "-p", "no:asyncio")
    else:
        pytester.makepyfile(no_asyncio="import sys\nsys.modules['pytest_asyncio'] = None")
        pytester.syspathinsert()
        result = run(pytester, "-p", "no:asyncio", "-p", "no_asyncio")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines("*the fixtures of cryptoproto need pytest-asyncio*")
    assert "Traceback" not in result.stdout.str()


def test_options_and_balances_can_be_overridden_and_custom_fixtures_take_precedence(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_mode = auto")
    pytester.makepyfile(
        test_options="""
        import pytest

        @pytest.fixture
        def exchange_options():
            return {"rate_limit": 7, "trade_pairs": ["BTC_USD"]}

        @pytest.fixture
        def trading_balances():
            return {"USD": "5"}

        async def test_it(exchange, trading_client):
            assert exchange.rate_limit == 7
            assert (await trading_client.balances())["USD"].available == 5
        """,
        test_own="""
        import pytest

        @pytest.fixture
        def exchange():
            return "mine"

        def test_it(exchange):
            assert exchange == "mine"
        """,
    )
    run(pytester).assert_outcomes(passed=2)


def test_the_key_is_made_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        keys = []

        @pytest.mark.parametrize("time", [1, 2])
        @pytest.mark.asyncio
        async def test_it(trading_key, exchange, time):
            keys.append((trading_key, exchange.private_key))
            assert len(set(map(id, (pair[0] for pair in keys)))) == 1
            assert len(set(map(id, (pair[1] for pair in keys)))) == 1
        """
    )
    run(pytester).assert_outcomes(passed=2)


def test_nothing_heavy_is_imported_where_it_is_not_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it(request):
            assert request.config.pluginmanager.hasplugin("cryptoproto")
            heavy = {"cryptoproto", "cryptography", "websockets", "picows", "msgspec"}
            assert not heavy & {name.partition(".")[0] for name in sys.modules}
        """
    )
    run(pytester, all_plugins=True).assert_outcomes(passed=1)


def test_the_fixtures_are_listed_with_what_they_are(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--fixtures")
    result.stdout.fnmatch_lines(["exchange*", "*running exchange*"])
    result.stdout.fnmatch_lines(["trading_client*", "*funded client*"])


def test_it_is_part_of_the_distribution(tmp_path: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "from importlib.metadata import entry_points as e; print(e(group='pytest11'))"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "_cryptoproto_pytest" in listed.stdout
