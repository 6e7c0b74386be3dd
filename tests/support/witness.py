"""What the exchange says about who sent it what, and whether that was the owner of the session."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Self

import msgspec
from nats import connect

from cryptoproto.gateway.names import Names
from cryptoproto.gateway.records import Checkpoint, Intent, LogRecord, Takeover, decode_records
from cryptoproto.gateway.streams import read_stream, state_of

__all__ = ["Accepted", "Deposed", "Witness", "check_senders", "command_log"]


class Accepted(NamedTuple):
    """A message that the exchange has taken, and the address of the host that it came from."""

    sequence: int
    source: str
    payload: bytes


class Deposed(NamedTuple):
    """An owner that has been followed by another one.

    Attributes:
        source: the address of its host.
        fence: of its ownership.
        since: how many messages the exchange had taken when the next owner was there.
    """

    source: str
    fence: int
    since: int


class Witness(logging.Handler):
    """Reads the log of an exchange in this process.

    Attributes:
        accepted: the messages of alice, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[Accepted] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("client %s sent %d from %s") and isinstance(record.args, tuple):
            client_id, *accepted = record.args
            if client_id == "alice":
                self.accepted.append(msgspec.convert(accepted, Accepted))

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator[Self]:
        witness, logger = cls(), logging.getLogger("cryptoproto.exchange")
        level, propagate = logger.level, logger.propagate
        logger.addHandler(witness)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False  # nobody else wants that much
        try:
            yield witness
        finally:
            logger.removeHandler(witness)
            logger.setLevel(level)
            logger.propagate = propagate


async def command_log(nats_url: str) -> list[LogRecord]:
    """Everything in the command log of alice."""
    names = Names("alice")
    async with await connect(nats_url.split(",")) as nc:
        js = nc.jetstream(timeout=5)
        return [
            record
            async for stored in read_stream(js, names.log_stream, names.log, await state_of(js, names.log_stream))
            for record in decode_records(stored.data)
        ]


def check_senders(
    accepted: Sequence[Accepted],
    records: Sequence[LogRecord],
    hosts: Mapping[int, str],
    deposed: Sequence[Deposed],
) -> dict[int, int]:
    """Every message that the exchange took is in the log, and came from the process that owned the session by the log.

    Returns how many messages came under each fence. Messages whose records were deleted, after a checkpoint, are only
    counted.

    Args:
        accepted: what the exchange took.
        records: the whole command log.
        hosts: the address of each process, by its id.
        deposed: owners that were followed by another one, and must not have sent anything since then.
    """
    intents: dict[int, tuple[Intent, int, int]] = {}
    fence, pid = 0, 0
    for record in records:
        if isinstance(record, Takeover):
            assert record.fence > fence, "a fence came again"
            fence, pid = record.fence, int(record.member.split(":")[1])
        elif isinstance(record, Intent):
            intents[record.sequence] = record, fence, pid  # nothing was sent with an earlier one of this sequence
    kept = accepted
    if any(isinstance(record, Checkpoint) for record in records):  # older records are deleted after a thousand outcomes
        begun = min((sequence for sequence, (_, _, pid) in intents.items() if pid), default=0)
        kept = [each for each in accepted if each.sequence >= begun > 0]
    counts: dict[int, int] = {}
    assert [each.sequence for each in accepted] == list(range(1, len(accepted) + 1)), "a message counted twice, or not"
    for message in kept:
        intent, fence, pid = intents[message.sequence]
        assert bytes(intent.payload) == message.payload, f"sequence {message.sequence} is not what the log says"
        assert message.source == hosts[pid], f"sequence {message.sequence} came from a process that was not the owner"
        assert fence >= max(counts, default=0), f"sequence {message.sequence} came after the next owner had begun"
        counts[fence] = counts.get(fence, 0) + 1
    for owner in deposed:
        late = [
            each.sequence
            for each in accepted[owner.since :]
            if each.source == owner.source and each.sequence in intents and intents[each.sequence][1] <= owner.fence
        ]
        assert not late, f"the owner with fence {owner.fence} sent {late} after it was deposed"
    return counts
