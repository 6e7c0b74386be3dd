"""A process that forks others, which use a store, and kills them at random moments; see test_killed.py.

Each line of its input is ``seed path``; for each it answers with one line of JSON: what the killed process had begun
and what had returned, in order.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from itertools import count
from typing import Any

from cryptoproto.client.store import checkpointer
from cryptoproto.client.store.interface import OutboxEntry
from cryptoproto.client.store.sqlite import SqliteStore

CLIENT = ("alice", "fingerprint")


def is_users(transaction_id: int) -> bool:
    """Whether the user handles this event in a transaction."""
    return transaction_id % 3 == 0


class Victim:
    def __init__(self, path: str, seed: int, pipe: int) -> None:
        self.store = SqliteStore(path)
        self.store.watch(lambda: self.handling)
        self.handling: int | None = None
        self.choice = random.Random(seed)
        self.pipe = pipe
        self.keys: list[int] = []

    def say(self, *words: Any) -> None:
        os.write(self.pipe, (json.dumps(words) + "\n").encode())

    def run(self) -> None:
        self.store.open(*CLIENT)
        with self.store.transaction() as db:
            db.execute("CREATE TABLE IF NOT EXISTS users (transaction_id INTEGER PRIMARY KEY)")
        self.keys = [entry.key or 0 for entry in self.store.outbox()]
        self.say("opened", self.store.position)
        for transaction_id in count((self.store.position or 0) + 1):
            self.handle(transaction_id)
            for _ in range(self.choice.randint(0, 2)):
                self.change_the_outbox()
            if self.choice.random() < 0.1:
                self.store.flush()
                self.say("flushed", transaction_id)

    def handle(self, transaction_id: int) -> None:
        self.handling = transaction_id
        self.say("handling", transaction_id)
        if is_users(transaction_id):
            if self.choice.random() < 0.3:
                with suppress(ZeroDivisionError), self.store.transaction() as db:
                    db.execute("INSERT INTO users VALUES (?)", (transaction_id,))
                    self.fail()
            with self.store.transaction() as db:
                db.execute("INSERT INTO users VALUES (?)", (transaction_id,))
            self.say("flushed", transaction_id)
        self.store.advance(transaction_id)

    def fail(self) -> None:
        raise ZeroDivisionError

    def change_the_outbox(self) -> None:
        what = self.choice.choice(("put", "put", "report", "remove", "remove"))
        number = self.choice.getrandbits(40)
        if what == "put":
            self.say("put", None, number)
            self.keys.append(self.store.put(OutboxEntry(kind="cancel", payload=b"%d" % number, created_ns=number)))
            self.say("done", self.keys[-1])
        elif self.keys:
            key = self.keys[self.choice.randrange(len(self.keys))]
            self.say(what, key, number)
            self.keys.remove(key)
            if what == "report":
                self.say("done", self.store.put_late_report(b"%d" % number, key, number))
            else:
                self.store.remove(key, number)
                self.say("done", key)


def one(seed: int, path: str) -> list[Any]:
    reader, writer = os.pipe()
    victim = os.fork()
    if victim == 0:
        os.close(reader)
        try:
            Victim(path, seed, writer).run()
        finally:
            os._exit(1)  # it must not end on its own
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = [] if seed % 5 == 0 else [json.loads(pipe.readline())]  # every fifth is killed while it opens the store
        time.sleep(random.Random(seed).uniform(0.0, 0.02))
        os.kill(victim, signal.SIGKILL)
        said += [json.loads(line) for line in pipe]
    _, status = os.waitpid(victim, 0)
    if not os.WIFSIGNALED(status):
        raise SystemExit(f"the victim failed with seed {seed}")
    return said


if __name__ == "__main__":
    checkpointer._PAGES = 20  # type: ignore[misc]  # so that many are killed in the midst of it
    checkpointer._QUIET_S = 0.0  # type: ignore[misc]
    for line in sys.stdin:
        seed, _, path = line.strip().partition(" ")
        sys.stdout.write(json.dumps(one(int(seed), path)) + "\n")
        sys.stdout.flush()
