"""The benchmarks run, and what they compare with speaks the same protocol. Nothing here looks at how long it takes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator

import pytest

import benchmarks
import cryptoproto as cp
from benchmarks import baseline_codec, processes, samples
from benchmarks.measure import in_turns, medians
from benchmarks.report import Row, as_dict, table
from cryptoproto.messages import decode, encode
from cryptoproto.wire import MessageFrame, RequestFrame, TransactionFrame
from tests.support.forks import Forks


@pytest.fixture(scope="module")
def rows(commands: Forks) -> Iterator[list[Row]]:
    """With processes that are not as fresh as they have to be where the numbers count."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "_command", lambda module, *arguments: commands.command("-m", module, *arguments))
        yield benchmarks.run(quick=True)


def test_every_row_gives_numbers(rows: list[Row]) -> None:
    assert {row.name for row in rows} == {
        "decode",
        "decode-signed",
        "decode-obvious",
        "encode",
        "encode-obvious",
        "receive",
        "round-trip",
        "in-flight",
        "memory",
        "client-memory",
        "client-memory-growth",
        "client-sqlite",
        "client-sqlite-growth",
        "client-bare-growth",
        "client-orders",
    }
    for row in rows:
        assert math.isfinite(row.value), row
        assert row.ours >= 0, row
        assert row.floor is None or row.floor > 0, row
        assert row.reached is None or row.target, row


def test_rows_have_a_table_and_json(rows: list[Row]) -> None:
    assert table(rows).row_count == len(rows)
    document = json.loads(json.dumps(as_dict(rows)))
    assert [row["name"] for row in document["rows"]] == [row.name for row in rows]
    assert document["machine"]["cores"]
    assert document["machine"]["libraries"]["cryptoproto"] == cp.__version__


def test_only_one_benchmark() -> None:
    heard: list[str] = []
    rows = benchmarks.run("encode", 2, quick=True, progress=heard.append)
    assert heard == ["encode"]
    assert [len(row.rounds) for row in rows] == [2, 2]
    with pytest.raises(ValueError, match="no benchmark"):
        benchmarks.run("nothing")


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    pairs = in_turns(iter([2.0, 9.0, 4.0]).__next__, iter([1.0, 3.0, 4.0]).__next__, 3)
    assert pairs == [(2.0, 1.0), (9.0, 3.0), (4.0, 4.0)]
    assert medians(pairs) == (4.0, 3.0, 2.0)
    assert Row.from_pairs("x", "", pairs, unit="ns", at_most=2.0).reached
    assert not Row.from_pairs("x", "", pairs, unit="ns", at_most=1.9).reached
    assert Row.from_pairs("x", "", pairs, unit="ns", times_faster=0.5).value == 0.5


class _KeyFirst:
    """Randomness that begins with a key that the test knows."""

    def __init__(self, first: int) -> None:
        self.key = bytes(range(first, first + 32))
        self._drawn = False

    def __call__(self, size: int) -> bytes:
        if self._drawn:
            return os.urandom(size)
        self._drawn = True
        return self.key


def test_the_obvious_codec_reads_our_events() -> None:
    client_random, server_random = _KeyFirst(0), _KeyFirst(32)
    client, server = samples.open_sessions(cp.Protocol.V5, client_random, server_random)
    for number in range(1, 40):
        frame = server.transaction(number, samples.TIMESTAMP, samples.event_json(number))
        assert len(frame) == samples.EVENT_FRAME_BYTES
        transaction_id, timestamp, payload = baseline_codec.decode_event(server_random.key, frame)
        assert (transaction_id, timestamp) == (number, samples.TIMESTAMP)
        received = client.receive(frame)
        assert isinstance(received, TransactionFrame)
        message = decode(received.payload)
        assert isinstance(message, cp.BuyOrderAmountChanged)
        assert message.payload == payload
    assert baseline_codec.decode_response(server_random.key, server.response(9, samples.BALANCE)) == (
        9,
        json.loads(samples.BALANCE),
    )


def test_the_obvious_codec_and_ours_read_each_others_orders() -> None:
    client_random, server_random = _KeyFirst(0), _KeyFirst(32)
    client, server = samples.open_sessions(cp.Protocol.V5, client_random, server_random)
    ours = client.seal(client.draft_message(encode(samples.ORDER)))
    received = server.receive(ours)
    assert isinstance(received, MessageFrame)
    assert json.loads(received.payload) == samples.ORDER_AS_DICT
    obvious = server.receive(baseline_codec.encode_message(client_random.key, 2, samples.ORDER_AS_DICT))
    assert isinstance(obvious, MessageFrame)
    assert (obvious.sequence, json.loads(obvious.payload)) == (2, samples.ORDER_AS_DICT)
    request = server.receive(baseline_codec.encode_request(client_random.key, 5, {"@type": "UserBalanceRequest"}))
    assert request == RequestFrame(5, b'{"@type": "UserBalanceRequest"}')
