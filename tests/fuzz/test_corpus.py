"""The committed corpus is what reaches most, and small."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.corpus import reached, smallest, stored
from tests.fuzz.registry import targets_of


def test_the_shortest_inputs_that_reach_something_new_are_kept() -> None:
    target = targets_of("wire")["market-frames"]
    (seed, *_) = target.seeds()
    others = [b"", b"\0", b"\0\0\0\4\0\0\0\1", b"\0\0\0\5\0\0\0\0", b"\0\0\0\5\0\0\0\0\0"]
    assert smallest(target, [seed], others) == [b"", b"\0\0\0\4\0\0\0\1", b"\0\0\0\5\0\0\0\0"]


def test_only_the_package_counts() -> None:
    target = targets_of("wire")["market-frames"]
    assert {code.co_name for code, _, _ in reached(target, b"")} == {"read_market_frame"}


def test_files_are_named_by_their_content(tmp_path: Path) -> None:
    first, second = stored(tmp_path / "a", b"x"), stored(tmp_path / "a", b"x")
    assert first == second
    assert first.read_bytes() == b"x"
