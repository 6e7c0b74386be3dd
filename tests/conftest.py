"""What the whole suite shares: keys that are made once, and the rule that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto import identity_lock
from tests.support.leaks import assert_nothing_left, loop_reports
from tests.support.measurement import leave_to_workers, measured_as
from tests.support.peer import Script

# readline sets it in the processes that pytest-xdist starts, and rich would keep it for every command.
os.environ.pop("COLUMNS", None)


def pytest_configure(config: pytest.Config) -> None:
    """Have Ctrl-C work in the processes that tests start, even if the suite was started in the background."""
    leave_to_workers(config)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with measured_as(item):
        return (yield)


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


@pytest.fixture
async def clean_loop() -> AsyncIterator[None]:
    """A leaked task, a leaked signing thread, or an exception that the loop has to report fails the test."""
    before = asyncio.all_tasks()
    with loop_reports() as reports:
        yield
        await assert_nothing_left(reports, before)


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Watch every test that has an event loop, the others are not given one; and the client ids in use after each."""
    if inspect.iscoroutinefunction(getattr(request.node, "function", None)):
        request.getfixturevalue("clean_loop")
    yield
    held = [lock for lock in identity_lock._held if lock.is_held]
    for lock in held:
        lock.release()  # so that only the test that left it fails
    assert not held, f"client ids are still marked as in use: {[lock._client_id for lock in held]}"


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
