"""Recovery: from a journal back to the exchange that wrote it.

The newest whole snapshot is loaded and every command after it is carried out again. Everything is checked: commands
have no gaps, each leads to exactly the events that were recorded with it, each client's events form an unbroken chain,
and all checksums match. Otherwise the journal is refused and not changed.
"""

from __future__ import annotations

import logging
import sqlite3
from array import array
from dataclasses import dataclass, field
from typing import Final
from zlib import decompress
from zlib import error as ZlibError  # noqa: N812

import msgspec

from ..exceptions import ConfigurationError, CryptoprotoError
from ..keys import PrivateKey, PublicKey
from ..messages import MALFORMED, encode
from .commands import Private
from .engine import Engine
from .journal_file import JournalFile, from_bytes
from .journal_schema import EventRow, Head, SnapshotRow, decode_command, row_checksum
from .ledger import ClientRecord
from .since_snapshot import SinceSnapshot

__all__ = ["Recovered", "recover"]

logger: logging.Logger = logging.getLogger("cryptoproto.exchange")

_SEQUENCES: Final = msgspec.json.Decoder(dict[str, int])
_CHAINS: Final = msgspec.json.Decoder(dict[int, tuple[int, int]])


class _Damage(CryptoprotoError):
    """The journal contradicts itself. Raised and caught in this module only."""


@dataclass(slots=True)
class Recovered:
    """The exchange in a journal.

    Attributes:
        numbers: the number of each client in the journal.
        since: the commands after the snapshot, which were carried out again.
    """

    private_key: PrivateKey
    engine: Engine
    head: Head
    since: SinceSnapshot
    records: dict[str, ClientRecord] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)


def recover(file: JournalFile) -> Recovered:
    """The exchange in *file*.

    Raises:
        JournalError: the journal is damaged.
    """
    try:
        return _recover(file)
    except (sqlite3.Error, _Damage, ConfigurationError, LookupError, ValueError, ZlibError, *MALFORMED) as error:
        raise file.damaged(error) from error
    except (TypeError, AttributeError) as error:  # a value of another type, which fails where it is used first
        raise file.damaged(error) from error


def _recover(file: JournalFile) -> Recovered:
    connection = file.writer
    keys = connection.execute("SELECT private_key, checksum FROM exchange").fetchall()
    if len(keys) != 1 or row_checksum(keys[0][0]) != keys[0][1]:
        raise _Damage("the private key is not as it was written")
    records: dict[int, ClientRecord] = {}
    for number, client_id, pem, checksum in connection.execute(
        "SELECT client, client_id, public_key, checksum FROM clients ORDER BY client"
    ):
        if row_checksum(number, client_id, pem) != checksum:
            raise _Damage(f"client {number} is not as it was written")
        records[number] = ClientRecord(client_id, PublicKey.from_pem(pem.encode()))
    snapshot, skipped = _newest_snapshot(connection)
    client_ids = {number: record.client_id for number, record in records.items()}
    used = _used_client_order_ids(connection, snapshot, client_ids)
    recovered = Recovered(
        PrivateKey.from_pem(keys[0][0].encode(), trusted=True),
        Engine.restore(snapshot.engine, used),
        snapshot.head,
        SinceSnapshot(snapshot.head.number, snapshot.used_before),
    )
    for number, record in records.items():
        recovered.records[record.client_id] = record
        recovered.numbers[record.client_id] = number
        record.last_sequence = snapshot.sequences.get(record.client_id, 0)
    _carry_out(file, recovered)
    if recovered.head.number < skipped:
        raise _Damage(f"command {recovered.head.number + 1} is missing")
    for number, record in records.items():
        record.floor, _ = recovered.head.chains.get(number, (0, 0))
        record.first = 1 if record.floor else 0
    if recovered.engine.client_ids != tuple(recovered.numbers):
        raise _Damage("the clients are not those that were registered")
    return recovered


def _newest_snapshot(connection: sqlite3.Connection) -> tuple[SnapshotRow, int]:
    """The newest undamaged snapshot, and the command of the newest damaged one, or 0.

    After an older snapshot, more commands are carried out again.
    """
    newest = 0
    for number, transaction_id, chain, sequences, chains, engine, used, checksum in connection.execute(
        "SELECT number, last_transaction_id, chain, sequences, chains, engine, used, checksum FROM snapshots "
        "ORDER BY number DESC"
    ):
        if row_checksum(sequences, chains, engine, used) == checksum:
            head = Head(number, transaction_id, chain, _CHAINS.decode(chains))
            return SnapshotRow(head, _SEQUENCES.decode(sequences), decompress(engine), used_before=used), newest
        newest = max(newest, number)
        logger.warning("the snapshot after command %d is damaged and is skipped: its checksum is wrong", number)
    raise _Damage("there is no snapshot that can be used")


def _used_client_order_ids(
    connection: sqlite3.Connection, snapshot: SnapshotRow, client_ids: dict[int, str]
) -> dict[str, array[int]]:
    """The client order ids that were used up to *snapshot*, by client."""
    used: dict[str, array[int]] = {}
    for number, client, raw, checksum in connection.execute(
        "SELECT number, client, ids, checksum FROM used_client_order_ids WHERE number <= ?", (snapshot.head.number,)
    ):
        if row_checksum(number, client, raw) != checksum:
            raise _Damage(f"the client order ids used before command {number} are not as they were written")
        used.setdefault(client_ids[client], array("q")).extend(from_bytes(raw))
    count = sum(map(len, used.values()))
    if count != snapshot.used_before:
        raise _Damage(f"{snapshot.used_before} client order ids were used, and {count} are in the file")
    return used


def _carry_out(file: JournalFile, recovered: Recovered) -> None:
    """Carry out the commands after the snapshot again, and compare the results with what was recorded."""
    connection, head, numbers = file.writer, recovered.head, recovered.numbers
    if head.number:
        known = connection.execute(
            "SELECT last_transaction_id, checksum FROM commands WHERE number = ?", (head.number,)
        ).fetchone()
        if known != (head.transaction_id, head.checksum):
            raise _Damage(f"the snapshot after command {head.number} does not belong to that command")
    clients = {number: recovered.records[client_id] for client_id, number in numbers.items()}
    recorded = _recorded_events(file, head, clients)
    for row in connection.execute(
        "SELECT number, client, sequence, command, last_transaction_id, checksum FROM commands "
        "WHERE number > ? ORDER BY number",
        (head.number,),
    ):
        number, client, sequence, text = row[:4]
        if number != head.number + 1:
            raise _Damage(f"command {head.number + 1} is missing")
        command = None if text is None else decode_command(text)
        outputs = [] if command is None else recovered.engine.apply(command)
        events = [
            (numbers[output.client_id], encode(output.message)) for output in outputs if isinstance(output, Private)
        ]
        time_us = 0 if command is None else command.time_us
        again, told = head.follow(client, sequence, None if text is None else text.encode(), time_us, events)
        if again != row:
            raise _Damage(f"command {number} does not lead to what was recorded with it")
        for event in told:
            if recorded.pop(event[1], None) != event:
                raise _Damage(f"transaction {event[1]} is not the event of command {number}")
        if sequence is not None:
            clients[client].last_sequence = sequence
        recovered.since.add(client, command, outputs)
    if recorded:
        raise _Damage(f"transaction {min(recorded)} belongs to no command")


def _recorded_events(file: JournalFile, head: Head, clients: dict[int, ClientRecord]) -> dict[int, EventRow]:
    """The events after the snapshot, by transaction id; the chains of all events are checked."""
    later: dict[int, EventRow] = {}
    for client in clients:
        newest = head.chains.get(client)
        if newest is not None:
            known = file.writer.execute(
                "SELECT checksum FROM events WHERE client = ? AND transaction_id = ?", (client, newest[0])
            ).fetchone()
            if known != (newest[1],):
                raise _Damage(f"transaction {newest[0]} of client {client} is changed or missing")
        for row in file.events(client, head.transaction_id):
            later[row[1]] = row
    return later
