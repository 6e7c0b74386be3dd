"""From a journal back to the exchange that wrote it: a snapshot, and every command after it carried out again.

Nothing is believed that is not proven: the commands are without gaps, each leads to exactly the events that were
recorded with it, and the checksums agree. Where they do not, the journal is refused and nothing in it is changed.
"""

from __future__ import annotations

import logging
import sqlite3
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from zlib import decompress
from zlib import error as ZlibError  # noqa: N812

import msgspec

from ..exceptions import ConfigurationError, CryptoprotoError
from ..keys import PrivateKey, PublicKey
from ..messages import encode
from .commands import Private
from .engine import Engine
from .journal_file import JournalFile, from_bytes
from .journal_schema import EventRow, Head, SnapshotRow, decode_command, row_checksum, used_client_order_id
from .ledger import ClientRecord

__all__ = ["Recovered", "recover"]

logger = logging.getLogger("cryptoproto.exchange")

_SEQUENCES: Final = msgspec.json.Decoder(dict[str, int])


class _Damage(CryptoprotoError):
    """What is wrong; inside this module only."""


@dataclass(slots=True)
class Recovered:
    """An exchange as its journal has it.

    Attributes:
        numbers: the number of each client in the journal.
        used: the client order ids used since the snapshot, by number of client.
        used_before: how many were used up to the snapshot.
        since_snapshot: how many commands were carried out again.
    """

    private_key: PrivateKey
    engine: Engine
    head: Head
    records: dict[str, ClientRecord] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    used: dict[int, array[int]] = field(default_factory=dict)
    snapshot_number: int = 0
    used_before: int = 0
    since_snapshot: int = 0


def recover(file: JournalFile) -> Recovered:
    """The exchange in *file*.

    Raises:
        JournalError: the journal is damaged.
    """
    try:
        return _recover(file.writer)
    except (sqlite3.Error, _Damage, ConfigurationError, KeyError, ValueError, ZlibError) as error:
        raise file.damaged(error) from error


def _recover(connection: sqlite3.Connection) -> Recovered:
    keys = connection.execute("SELECT private_key, checksum FROM exchange").fetchall()
    if len(keys) != 1 or row_checksum(keys[0][0]) != keys[0][1]:
        raise _Damage("its private key is not as it was written")
    records: dict[int, ClientRecord] = {}
    for number, client_id, pem, checksum in connection.execute(
        "SELECT client, client_id, public_key, checksum FROM clients ORDER BY client"
    ):
        if row_checksum(number, client_id, pem) != checksum:
            raise _Damage(f"client {number} is not as it was written")
        records[number] = ClientRecord(client_id, PublicKey.from_pem(pem.encode()))
    snapshot = _newest_snapshot(connection)
    client_ids = {number: record.client_id for number, record in records.items()}
    used, used_before = _used_client_order_ids(connection, snapshot, client_ids)
    recovered = Recovered(
        PrivateKey.from_pem(keys[0][0].encode(), trusted=True),
        Engine.restore(snapshot.engine, used),
        snapshot.head,
        snapshot_number=snapshot.head.number,
        used_before=used_before,
    )
    for number, record in records.items():
        recovered.records[record.client_id] = record
        recovered.numbers[record.client_id] = number
        record.last_sequence = snapshot.sequences.get(record.client_id, 0)
        (record.floor,) = connection.execute(
            "SELECT coalesce(max(transaction_id), 0) FROM events WHERE client = ?", (number,)
        ).fetchone()
        record.first = 1 if record.floor else 0
    _carry_out(connection, recovered)
    if recovered.engine.client_ids != tuple(recovered.numbers):
        raise _Damage("its clients are not those that were registered")
    return recovered


def _newest_snapshot(connection: sqlite3.Connection) -> SnapshotRow:
    """The newest snapshot that is whole: an older one costs more commands, and they are checked all the same."""
    for number, transaction_id, chain, sequences, engine, used, checksum in connection.execute(
        "SELECT number, last_transaction_id, chain, sequences, engine, used, checksum FROM snapshots "
        "ORDER BY number DESC"
    ):
        if row_checksum(sequences, engine, used) == checksum:
            head = Head(number, transaction_id, chain)
            return SnapshotRow(head, _SEQUENCES.decode(sequences), decompress(engine), used_before=used)
        logger.warning("the snapshot after command %d is passed over: its checksum is wrong", number)
    raise _Damage("it holds no snapshot that can be used")


def _used_client_order_ids(
    connection: sqlite3.Connection, snapshot: SnapshotRow, client_ids: dict[int, str]
) -> tuple[dict[str, array[int]], int]:
    """The client order ids that were used up to *snapshot*, by client, and how many they are."""
    used: dict[str, array[int]] = {}
    for number, client, raw, checksum in connection.execute(
        "SELECT number, client, ids, checksum FROM used_client_order_ids WHERE number <= ?", (snapshot.head.number,)
    ):
        if row_checksum(number, client, raw) != checksum:
            raise _Damage(f"the client order ids used before command {number} are not as they were written")
        used.setdefault(client_ids[client], array("q")).extend(from_bytes(raw))
    count = sum(map(len, used.values()))
    if count != snapshot.used_before:
        raise _Damage(f"{snapshot.used_before} client order ids were used, and {count} are there")
    return used, count


def _carry_out(connection: sqlite3.Connection, recovered: Recovered) -> None:
    """Carry out the commands after the snapshot again, and compare what comes of it with what was recorded."""
    head, numbers = recovered.head, recovered.numbers
    if head.number:
        known = connection.execute(
            "SELECT last_transaction_id, checksum FROM commands WHERE number = ?", (head.number,)
        ).fetchone()
        if known != (head.transaction_id, head.checksum):
            raise _Damage(f"the snapshot after command {head.number} does not belong to that command")
    clients = {number: recovered.records[client_id] for client_id, number in numbers.items()}
    recorded = _recorded_events(connection, head.transaction_id, clients)
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
                raise _Damage(f"transaction {event[1]} is not as command {number} told it")
        if sequence is not None:
            clients[client].last_sequence = sequence
        used = used_client_order_id(command, outputs)
        if used is not None:
            recovered.used.setdefault(client, array("q")).append(used)
        recovered.since_snapshot += 1
    if recorded:
        raise _Damage(f"transaction {min(recorded)} belongs to no command")


def _recorded_events(
    connection: sqlite3.Connection, after: int, clients: dict[int, ClientRecord]
) -> dict[int, EventRow]:
    def rows() -> Iterator[EventRow]:
        for client in clients:
            yield from connection.execute(
                "SELECT client, transaction_id, time_us, payload, checksum FROM events "
                "WHERE client = ? AND transaction_id > ? ORDER BY transaction_id",
                (client, after),
            )

    return {row[1]: row for row in rows()}
