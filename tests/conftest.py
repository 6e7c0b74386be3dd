"""What the whole suite shares: keys that are made once, and the rule that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from tests.support.forks import Forks
from tests.support.leaks import assert_nothing_left, loop_reports
from tests.support.peer import Script


@pytest.fixture(scope="module", autouse=True)
def known_objects() -> None:
    """Take what was there before out of the garbage collector's sight: it looks for leaks after every test.

    Modules, reports and caches are many times what a test makes.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def alice_key() -> cp.PrivateKey:
    return cp.PrivateKey.generate()


@pytest.fixture(scope="session")
def bob_key() -> cp.PrivateKey:
    return cp.PrivateKey.generate()


@pytest.fixture(scope="session")
def exchange_key() -> cp.PrivateKey:
    return cp.PrivateKey.generate()


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder where waiting for the disk costs nothing: nobody pulls the plug here.

    What a process that is killed had given to the system is there all the same.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def commands() -> Iterator[Forks]:
    """Python for the command line, with all that it may need imported."""
    with Forks(
        *("-W", "error"),
        modules=(
            *("cryptoproto.cli.app", "cryptoproto.licensing", "cryptoproto.transport.picows", "uvloop", "httpx"),
            *("typer.rich_utils", "typer._adapters"),
        ),
    ) as forks:
        yield forks


@pytest.fixture(scope="session")
def strict_python() -> Iterator[Forks]:
    """Python's development mode, with nothing but ``import cryptoproto`` done: programs show what they import."""
    with Forks("-X", "dev", "-W", "error", modules=("cryptoproto",)) as forks:
        yield forks


@pytest.fixture(scope="session")
def command_tree() -> Callable[..., Any]:
    """The commands as Typer builds them, which takes a tenth of a second: for tests that start many in one process."""
    from typer.main import get_command

    from cryptoproto.cli.app import app

    return get_command(app)


@pytest.fixture
def command_line(command_tree: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the command line use the tree that is there."""
    monkeypatch.setattr("cryptoproto.cli.app.app", command_tree)


@pytest.fixture
async def clean_loop() -> AsyncIterator[None]:
    """A leaked task, a leaked signing thread, or an exception that the loop has to report fails the test."""
    before = asyncio.all_tasks()
    with loop_reports() as reports:
        yield
        await assert_nothing_left(reports, before)


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request: pytest.FixtureRequest) -> None:
    """Watch every test that has an event loop; the others are not given one."""
    if inspect.iscoroutinefunction(getattr(request.node, "function", None)):
        request.getfixturevalue("clean_loop")


@pytest.fixture
def script(alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> Script:
    return Script(alice_key.public_key, exchange_key)


@pytest.fixture(params=[cp.Protocol.SIGNED, cp.Protocol.V5], ids=["signed", "v5"])
def protocol(request: pytest.FixtureRequest) -> cp.Protocol:
    assert isinstance(request.param, cp.Protocol)
    return request.param


@pytest.fixture
def keys(alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> dict[str, cp.PrivateKey]:
    return {"alice": alice_key, "bob": bob_key, "exchange": exchange_key}


@pytest.fixture(params=["websockets", "picows"])
def kind(request: pytest.FixtureRequest) -> str:
    """The transport of both ends."""
    return str(request.param)
