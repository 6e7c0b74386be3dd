"""Where scripts are read from."""

from __future__ import annotations

from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.conformance import SCRIPTS, load_scripts

TEXT = "Title: t\nChecks: c\nPeer: {peer}\n\nopen\n< close\n"


def test_a_folder_of_your_own(tmp_path: Path) -> None:
    for name, peer in (("b/two", "client"), ("a/one", "client"), ("a/other", "exchange")):
        path = tmp_path / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(TEXT.format(peer=peer))
    assert [script.name for script in load_scripts(tmp_path, peer="client")] == ["a/one", "b/two"]
    assert [script.name for script in load_scripts(tmp_path, peer="client", only=["b/*"])] == ["b/two"]


def test_no_script(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="there is no script for a client"):
        load_scripts(tmp_path, peer="client")
    with pytest.raises(cp.ConfigurationError, match=r"that matches x/\* or y"):
        load_scripts(SCRIPTS, peer="client", only=["x/*", "y"])


@pytest.mark.parametrize(("data", "words"), [(b"\xff", "cannot be read"), (b"#" * 300_000, "has at most")])
def test_a_file_that_is_no_script(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(data)
    with pytest.raises(cp.ConfigurationError, match=words):
        load_scripts(tmp_path, peer="client")
