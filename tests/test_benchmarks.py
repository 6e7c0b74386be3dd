"""The benchmarks run, a row is found by its name, and the baselines speak the protocol. Nothing looks at durations."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import sys
from pathlib import Path

import pytest

import benchmarks
import cryptoproto as cp
from benchmarks import apikeys, exchange, gateway, handshakes, hops, journal, licensing, status_browser
from benchmarks.baselines import codec as obvious_codec
from benchmarks.machinery import samples
from benchmarks.machinery.command import main
from benchmarks.machinery.measure import in_turns, medians
from benchmarks.machinery.processes import running
from benchmarks.machinery.report import Row, as_dict, table
from benchmarks.machinery.runner import Measurement, chosen, name_of, run
from cryptoproto.messages import decode, encode
from cryptoproto.wire import MessageFrame, RequestFrame, TransactionFrame
from tests.support.browser import needs_chromium

COMMANDS = {
    "benchmarks": benchmarks.MEASUREMENTS,
    "exchange": exchange.MEASUREMENTS,
    "journal": journal.MEASUREMENTS,
    "handshakes": handshakes.MEASUREMENTS,
    "apikeys": apikeys.MEASUREMENTS,
    "licensing": licensing.MEASUREMENTS,
    "gateway": gateway.MEASUREMENTS,
    "status_browser": status_browser.MEASUREMENTS,
}
ALL = [measurement for measurements in COMMANDS.values() for measurement in measurements]
ROWS = Path(benchmarks.__file__).with_name("rows")


def file_of(row: Row) -> str:
    """The file with the longest name that the name of the row starts with."""
    stems = [path.stem for path in ROWS.glob("*.py") if f"{row.name}-".startswith(f"{path.stem.replace('_', '-')}-")]
    return max(stems, key=len)


def test_every_file_is_run_by_one_command() -> None:
    files = sorted(path.stem for path in ROWS.glob("*.py") if path.stem != "__init__")
    assert sorted(name_of(measurement).replace("-", "_") for measurement in ALL) == files


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=[needs_chromium] if name == "status_browser" else []) for name in COMMANDS]
)
def test_every_row_gives_numbers_and_has_the_name_of_its_file(command: str) -> None:
    measurements = COMMANDS[command]
    rows = run(measurements, quick=True)
    grouped = [(file, [row.name for row in group]) for file, group in itertools.groupby(rows, file_of)]
    assert [file for file, _ in grouped] == [measurement.__name__.split(".")[-1] for measurement in measurements]
    assert [names[0] for _, names in grouped] == [name_of(measurement) for measurement in measurements]
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert math.isfinite(row.value), row
        assert row.ours >= 0, row
        assert row.floor is None or row.floor > 0, row
        assert row.reached is None or row.target, row
    assert table(rows).row_count == len(rows)
    document = json.loads(json.dumps(as_dict(rows)))
    assert [row["name"] for row in document["rows"]] == [row.name for row in rows]
    assert document["machine"]["cores"]
    assert document["machine"]["libraries"]["cryptoproto"] == cp.__version__


def test_a_name_chooses_one_measurement_or_all_that_start_with_it() -> None:
    def names(name: str, among: tuple[Measurement, ...] = benchmarks.MEASUREMENTS) -> list[str]:
        return [name_of(measurement) for measurement in chosen(among, name)]

    assert names("encode") == ["encode"]
    assert names("client-memory") == ["client-memory"]
    assert names("client") == ["client-memory", "client-sqlite", "client-history", "client-bare", "client-orders"]
    assert names("journal", journal.MEASUREMENTS) == ["journal-orders", "journal-restart"]
    for unknown in ("nothing", "en", "encode-nothing", ""):
        with pytest.raises(ValueError, match=r"no benchmark .* decode, encode, receive"):
            chosen(benchmarks.MEASUREMENTS, unknown)


def test_rounds_can_be_set() -> None:
    started: list[str] = []
    rows = run(chosen(benchmarks.MEASUREMENTS, "encode"), rounds=2, quick=True, progress=started.append)
    assert started == ["encode"]
    assert [len(row.rounds) for row in rows] == [2, 2]


def test_the_command_prints_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "encode", "--quick", "--json"])
    main("benchmarks", benchmarks.MEASUREMENTS)
    document = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in document["rows"]] == ["encode", "encode-obvious"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nothing"], "there is no benchmark 'nothing'; choose one of decode"),
        (["--rounds", "0"], "--rounds must be 1 or more"),
        (["--uvloop"], "unrecognized arguments: --uvloop"),
    ],
)
def test_the_command_explains_wrong_arguments(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    with pytest.raises(SystemExit):
        main("benchmarks", benchmarks.MEASUREMENTS)
    assert message in capsys.readouterr().err


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    pairs = in_turns(iter([2.0, 9.0, 4.0]).__next__, iter([1.0, 3.0, 4.0]).__next__, 3)
    assert pairs == [(2.0, 1.0), (9.0, 3.0), (4.0, 4.0)]
    assert medians(pairs) == (4.0, 3.0, 2.0)
    assert Row.from_pairs("x", "", pairs, unit="ns", at_most=2.0).reached
    assert not Row.from_pairs("x", "", pairs, unit="ns", at_most=1.9).reached
    assert Row.from_pairs("x", "", pairs, unit="ns", times_faster=0.5).value == 0.5
    assert Row.from_pairs("x", "", pairs, unit="/s", at_least=2.0).reached
    assert not Row.from_pairs("x", "", pairs, unit="/s", at_least=2.1).reached
    assert Row.absolute("x", "", 1.9, unit="s", below=2.0).reached
    assert not Row.absolute("x", "", 2.0, unit="s", below=2.0).reached


class _KeyFirst:
    """Randomness that starts with a key known to the test."""

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
        transaction_id, timestamp, payload = obvious_codec.decode_event(server_random.key, frame)
        assert (transaction_id, timestamp) == (number, samples.TIMESTAMP)
        received = client.receive(frame)
        assert isinstance(received, TransactionFrame)
        message = decode(received.payload)
        assert isinstance(message, cp.BuyOrderAmountChanged)
        assert message.payload == payload
    assert obvious_codec.decode_response(server_random.key, server.response(9, samples.BALANCE)) == (
        9,
        json.loads(samples.BALANCE),
    )


def test_the_obvious_codec_and_ours_read_each_others_orders() -> None:
    client_random, server_random = _KeyFirst(0), _KeyFirst(32)
    client, server = samples.open_sessions(cp.Protocol.V5, client_random, server_random)
    ours = client.message_frame(encode(samples.ORDER))[1]
    received = server.receive(ours)
    assert isinstance(received, MessageFrame)
    assert json.loads(received.payload) == samples.ORDER_AS_DICT
    obvious = server.receive(obvious_codec.encode_message(client_random.key, 2, samples.ORDER_AS_DICT))
    assert isinstance(obvious, MessageFrame)
    assert (obvious.sequence, json.loads(obvious.payload)) == (2, samples.ORDER_AS_DICT)
    request = server.receive(obvious_codec.encode_request(client_random.key, 5, {"@type": "UserBalanceRequest"}))
    assert request == RequestFrame(5, b'{"@type": "UserBalanceRequest"}')


async def test_an_order_takes_as_many_calls_as_the_decision_record_says() -> None:
    for _ in range(20):
        calls = await hops.calls_of_an_order()
        if sum(call.name == "Pump._hand_over" for call in calls) == 1:
            break  # one read of the socket has brought both events of the answer, as the page counts it
    counted = len(hops.request(calls)), len(hops.answer(calls))
    page = (Path(__file__).parents[1] / "docs/decisions/order-path.md").read_text()
    stated = re.findall(r"^\| from .*\| (\d+) \| \d+ \|$", page, re.MULTILINE)
    assert list(counted) == [int(number) for number in stated]


def test_a_process_that_does_not_start() -> None:
    with (
        pytest.raises(RuntimeError, match=r"benchmarks\.nothing ended before it was ready"),
        running("benchmarks.nothing"),
    ):
        pytest.fail("it is not there")
