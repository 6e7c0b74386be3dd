"""A store and a journal on a file system that is really full, or really read-only.

``unshare -rm python -m tests.support.small_disk full|read-only FOLDER`` mounts one at *FOLDER*, which nobody else sees.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import cryptoproto as cp
from cryptoproto.client.store.interface import OutboxEntry
from cryptoproto.exchange import Exchange
from cryptoproto.messages import PlaceBuyLimitOrder, encode

OWNER = ("alice", "fingerprint")
SIZE_KIB = 512


def mount(folder: Path, *options: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stdout.write("cannot mount")
        raise SystemExit(0)


def entry() -> OutboxEntry:
    return OutboxEntry(kind="cancel", payload=b"x" * 1000, created_ns=1)


def order(sequence: int) -> bytes:
    return encode(PlaceBuyLimitOrder("BTC_USD", "1", "1", client_order_id=sequence))


def error_of(call: Any, *arguments: Any) -> str:
    """What *call* says in the end, when it is called again and again."""
    for _ in range(10_000):
        try:
            call(*arguments)
        except (cp.StoreError, cp.JournalError, cp.ConfigurationError) as error:
            return f"{type(error).__name__}: {error}"
    raise AssertionError("it never failed")


def full(folder: Path, key: cp.PublicKey) -> None:
    filler = folder / "filler"
    mount(folder, "-o", f"size={SIZE_KIB}k")
    store = cp.SqliteStore(folder / "alice.db")
    store.open(*OWNER)
    exchange = Exchange(path=folder / "exchange.db")
    exchange.register("alice", key, {"USD": "1000000"})
    record = exchange.venue.client("alice")
    assert record is not None
    fill(filler)
    words = error_of(lambda: store.put(entry()))
    assert words == f"StoreError: cannot write to {store.path}-outbox: No space left on device", words
    with suppress(OSError):
        while True:  # until the pages that SQLite's log has are used up
            store.advance((store.position or 0) + 1)
            store.flush()
    words = error_of(store.flush)
    assert words == f"StoreError: cannot write to {store.path}: database or disk is full", words
    kept = [each.key for each in store.outbox()]
    taken = record.last_sequence

    def submit() -> None:
        nonlocal taken
        exchange.venue.submit("alice", taken + 1, order(taken + 1))
        taken += 1

    words = error_of(submit)
    assert words.startswith(f"JournalError: {exchange.path}: the journal cannot be written, and the exchange stops"), (
        words
    )
    assert "full" in words
    filler.unlink()
    key_of_new = store.put(entry())
    assert [each.key for each in store.outbox()] == [*kept, key_of_new]
    store.close()
    asyncio.run(exchange.close())
    exchange = Exchange(path=folder / "exchange.db")
    record = exchange.venue.client("alice")
    assert record is not None
    assert record.last_sequence == taken
    assert exchange.venue.submit("alice", taken + 1, order(taken + 1)) is None
    asyncio.run(exchange.close())


def fill(path: Path) -> None:
    """Leave no room: first large blocks, then the last bytes."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                pass


def read_only(folder: Path, key: cp.PublicKey) -> None:
    mount(folder, "-o", "size=4m")
    store = cp.SqliteStore(folder / "alice.db")
    store.open(*OWNER)
    store.put(entry())
    store.close()
    exchange = Exchange(path=folder / "exchange.db")
    exchange.register("alice", key, {})
    asyncio.run(exchange.close())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    for call, path in (
        (lambda: cp.SqliteStore(folder / "alice.db").open(*OWNER), folder / "alice.db"),
        (lambda: cp.SqliteStore(folder / "new.db").open(*OWNER), folder / "new.db"),
        (lambda: Exchange(path=folder / "exchange.db"), folder / "exchange.db"),
        (lambda: Exchange(path=folder / "new.db"), folder / "new.db"),
    ):
        words = error_of(call)
        assert words.startswith("ConfigurationError: "), words
        assert str(path) in words, words
        assert "ead-only file system" in words or "readonly" in words, words
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def main() -> None:
    what, folder = sys.argv[1:]
    {"full": full, "read-only": read_only}[what](Path(folder), cp.PrivateKey.generate().public_key)
    sys.stdout.write("done")


if __name__ == "__main__":
    main()
