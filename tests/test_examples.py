"""The examples run, each in a process of its own, and say what they promise."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import process_environment
from tests.support.notebooks import run_again, shown

pytestmark = pytest.mark.unmeasured

EXAMPLES = Path(__file__).parents[1] / "examples"

PROMISES = {
    "market_maker": r"(quoting [\d.]+ / [\d.]+\n){5}0\.\d+ BTC were traded against our quotes; still open: \[\]\n$",
    "quoting_bot": r"^(\d quotes are open\n(\d placed, \d cancelled, \d kept; (.+ total \S+ USD)?\n){10}){2}$",
    "taker": r"^filled: 0\.5(.|\n)*cancelled: 1\.5(.|\n)*refused: not enough USD(.|\n)*'BTC': '2\.00000000'",
    "resume_after_crash": r"^killed after 20 fills\n.*\n60 fills in the table, 60 different, of 60 in all",
    "gateway_demo": r"kill -9 of gateway A(.|\n)*owner, fence(.|\n)*(ok .*\n){7}$",
}


@pytest.mark.parametrize("name", PROMISES)
def test_it_runs(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", EXAMPLES / f"{name}.py"],
        env=process_environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(PROMISES[name], done.stdout), done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_the_tests_of_a_bot_pass(mode: str, tmp_path: Path) -> None:
    """With the plugins that matter; others take as long again to import."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", tmp_path,
            "-p", "asyncio", "-p", "_cryptoproto_pytest", "-c", "/dev/null", "-o", f"asyncio_mode={mode}",
            "-o", "asyncio_default_fixture_loop_scope=function", EXAMPLES / "test_my_bot.py",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env=process_environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_notebook_about_an_account_shows_what_it_showed() -> None:
    """Without its tables, which look different in other versions of pandas."""
    path = EXAMPLES / "account.ipynb"
    now = run_again(path)
    printed = [[text for text in texts if not text.startswith(" ")] for texts in shown(now)]
    assert printed == [
        [text for text in texts if not text.startswith(" ")] for texts in shown(json.loads(path.read_text()))
    ]
    assert ["open 1.00000000 left\n"] in printed
    assert any("total 35 USD" in text for texts in printed for text in texts)
