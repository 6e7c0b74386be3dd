"""The tables of a journal, its rows, and the checksums that chain them.

Each input has a row in ``commands``; the events that it caused have rows in ``events``. The checksum of a command
covers its row, its events, and the checksum of the command before. The checksum of an event covers its row and the
checksum of the same client's event before. So a row that is changed, swapped, duplicated or missing breaks a chain.
Any SQLite tool can read the tables while the exchange runs.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from zlib import crc32

import msgspec

from .commands import Command

__all__ = [
    "APPLICATION_ID",
    "READ_ANCHOR",
    "READ_CHAIN",
    "READ_EVENTS",
    "SCHEMA",
    "SCHEMA_VERSION",
    "WRITE_BATCH",
    "Batch",
    "ClientRow",
    "CommandRow",
    "EventRow",
    "Head",
    "SnapshotRow",
    "decode_command",
    "encode_command",
    "event_checksum",
    "row_checksum",
]

APPLICATION_ID: Final = 0x63704A31  # "cpJ1"
SCHEMA_VERSION: Final = 2

SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE exchange (
    private_key TEXT NOT NULL,                 -- PEM
    checksum INTEGER NOT NULL
);
CREATE TABLE clients (
    client INTEGER PRIMARY KEY,                -- counts from 1
    client_id TEXT NOT NULL UNIQUE,
    public_key TEXT NOT NULL,                  -- PEM
    checksum INTEGER NOT NULL
);
CREATE TABLE commands (
    number INTEGER PRIMARY KEY,                -- counts from 1, no gaps
    client INTEGER,                            -- who sent it or is registered by it; NULL: the operator
    sequence INTEGER,                          -- of the client's message; NULL: no client sent it
    command TEXT,                              -- JSON; NULL: a message that could not be decoded
    last_transaction_id INTEGER NOT NULL,      -- of all events up to and including this command's
    checksum INTEGER NOT NULL                  -- over this row, its events, and the checksum of the row before
);
CREATE TABLE events (
    client INTEGER NOT NULL,
    transaction_id INTEGER NOT NULL,
    time_us INTEGER NOT NULL,                  -- microseconds since 1970
    payload TEXT NOT NULL,                     -- JSON, as it is sent
    checksum INTEGER NOT NULL,                 -- over this row and the checksum of the client's event before
    PRIMARY KEY (client, transaction_id)
) WITHOUT ROWID;
CREATE TABLE snapshots (
    number INTEGER PRIMARY KEY,                -- the command after which it was made; 0: before the first
    last_transaction_id INTEGER NOT NULL,
    chain INTEGER NOT NULL,                    -- the checksum of that command
    sequences TEXT NOT NULL,                   -- JSON: last sequence by client id
    chains TEXT NOT NULL,                      -- JSON: by client, id and checksum of its newest event
    engine BLOB NOT NULL,                      -- JSON, compressed with zlib; without client order ids
    used INTEGER NOT NULL,                     -- number of client order ids used up to here
    checksum INTEGER NOT NULL
);
CREATE TABLE used_client_order_ids (
    number INTEGER NOT NULL,                   -- of the snapshot that they were written with
    client INTEGER NOT NULL,
    ids BLOB NOT NULL,                         -- 64-bit integers, little-endian; used since the snapshot before
    checksum INTEGER NOT NULL,
    PRIMARY KEY (number, client)
) WITHOUT ROWID;
"""

# One statement for a whole group: Python's sqlite3 releases the interpreter lock for each statement or row and then
# waits for it, up to 5 ms each time while the event loop is busy.
WRITE_BATCH: Final = """
CREATE TEMP VIEW batch (commands, events) AS SELECT NULL, NULL;
CREATE TEMP TRIGGER write_batch INSTEAD OF INSERT ON batch BEGIN
    INSERT INTO commands
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]')
        FROM json_each(NEW.commands);
    INSERT INTO events
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]')
        FROM json_each(NEW.events);
END;
"""

READ_ANCHOR: Final = """
SELECT CAST(checksum AS INTEGER) FROM events WHERE client = ? AND transaction_id <= ?
ORDER BY transaction_id DESC LIMIT 1
"""

# One row for many, for the same reason.
READ_EVENTS: Final = """
SELECT json_group_array(json_array(transaction_id, time_us, payload, checksum)) FROM (
    SELECT transaction_id, time_us, payload, checksum FROM events
    WHERE client = ? AND transaction_id > ? AND transaction_id <= ? ORDER BY transaction_id LIMIT ?
)
"""

# The payload as bytes: a restart checks all events, and decoding each payload to encode it again would take longer than
# its checksum. NULL for a value of another type.
READ_CHAIN: Final = """
SELECT transaction_id, time_us, CASE typeof(payload) WHEN 'text' THEN CAST(payload AS BLOB) END, checksum FROM events
WHERE client = ? ORDER BY transaction_id
"""

CommandRow: TypeAlias = tuple[int, int | None, int | None, str | None, int, int]
EventRow: TypeAlias = tuple[int, int, int, str, int]
ClientRow: TypeAlias = tuple[int, str, str, int]

_decode_command: Final[Callable[[str], Command]] = msgspec.json.Decoder[Command](Command).decode
encode_command: Final = msgspec.json.Encoder().encode


def decode_command(raw: str) -> Command:
    """The command in a row.

    Raises:
        msgspec.DecodeError, RecursionError: it is not a command.
    """
    return _decode_command(raw)


def event_checksum(before: int, transaction_id: int, time_us: int, payload: bytes) -> int:
    """The checksum of a row of ``events``.

    Args:
        before: the checksum of the same client's event before; the client's number for its first event.
        transaction_id: of this event.
        time_us: when it happened.
        payload: its JSON.
    """
    return crc32(payload, (before ^ transaction_id ^ time_us) & 0xFFFFFFFF)


def row_checksum(*values: int | str | bytes) -> int:
    """The checksum of a row of the smaller tables."""
    checksum = 0
    for value in values:
        raw = value if isinstance(value, bytes) else str(value).encode()
        checksum = crc32(raw, crc32(b"%d " % len(raw), checksum))
    return checksum


@dataclass(slots=True)
class Head:
    """The position after the newest command.

    Attributes:
        number: of that command.
        transaction_id: of the newest event, over all clients.
        checksum: of that command.
        chains: by number of client, the id and the checksum of its newest event.
    """

    number: int = 0
    transaction_id: int = 0
    checksum: int = 0
    chains: dict[int, tuple[int, int]] = field(default_factory=dict)

    def copy(self) -> Head:
        """This position, which does not move."""
        return Head(self.number, self.transaction_id, self.checksum, dict(self.chains))

    def follow(
        self,
        client: int | None,
        sequence: int | None,
        command: bytes | None,
        time_us: int,
        events: Sequence[tuple[int, bytes]],
    ) -> tuple[CommandRow, list[EventRow]]:
        """Move past one more input, and return its rows.

        Args:
            client: the number of the client that it came from.
            sequence: of its message.
            command: as JSON.
            time_us: when it happened.
            events: its events in order: number of the client, and payload.
        """
        self.number += 1
        rows: list[EventRow] = []
        transaction_id, chains = self.transaction_id, self.chains
        checksum = crc32(b"%d %d %d " % (self.number, client or 0, sequence or 0), self.checksum)
        checksum = crc32(command or b"", checksum)
        for told, payload in events:
            transaction_id += 1
            checksum = crc32(payload, checksum)
            before = chains.get(told)
            own = event_checksum(told if before is None else before[1], transaction_id, time_us, payload)
            chains[told] = (transaction_id, own)
            rows.append((told, transaction_id, time_us, payload.decode(), own))
        self.transaction_id = transaction_id
        self.checksum = checksum
        text = None if command is None else command.decode()
        return (self.number, client, sequence, text, transaction_id, checksum), rows


@dataclass(slots=True)
class SnapshotRow:
    """The state after a command.

    Attributes:
        engine: not compressed yet, without client order ids.
        follows: the number of the last good snapshot. Newer ones in the file are damaged and are replaced.
        used_before: how many client order ids were used up to that one.
        used: those used since, by number of client.
    """

    head: Head
    sequences: dict[str, int]
    engine: bytes
    follows: int = -1
    used_before: int = 0
    used: dict[int, array[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """Rows that are committed together."""

    commands: list[CommandRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    clients: list[ClientRow] = field(default_factory=list)
    snapshot: SnapshotRow | None = None
