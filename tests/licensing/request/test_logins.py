"""The config hash: frozen vectors, the published examples, and what cannot get in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.licensing import config_hash, read_logins
from cryptoproto.licensing.request.logins import login_set

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/config_hash_v1.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_frozen_vectors(vector: dict[str, Any]) -> None:
    digest = config_hash(vector["package"], vector["logins"])
    assert digest.hex() == vector["config_hash"]
    assert hashlib.sha256(bytes.fromhex(vector["hashed_bytes"])).digest() == digest


def test_vectors_differ_where_their_sets_do() -> None:
    inputs = {(vector["package"], frozenset(vector["logins"])) for vector in VECTORS}
    assert len({vector["config_hash"] for vector in VECTORS}) == len(inputs)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@given(names, st.lists(names, max_size=5), names, st.lists(names, max_size=5))
def test_equal_hashes_mean_equal_inputs(package: str, logins: list[str], other: str, others: list[str]) -> None:
    same = package == other and set(logins) == set(others)
    assert (config_hash(package, logins) == config_hash(other, others)) is same
    assert config_hash(package, [*logins, *reversed(logins)]) == config_hash(package, logins)


class Secret:
    """A redacted secret, as the house's types are."""

    def __str__(self) -> str:
        return "hunter2"


@pytest.mark.parametrize(
    "logins",
    ["A1", b"A1", {"A1": "hunter2"}, [b"hunter2"], [Secret()], [("A1", "hunter2")], [{"login": "A1"}], 7, None],
)
def test_anything_but_a_list_of_texts_is_refused_without_being_shown(logins: Any) -> None:
    with pytest.raises(cp.ConfigurationError) as caught:
        config_hash("gw", logins)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "x" * 257, "\ud800"])
def test_names_that_cannot_be_hashed(name: str) -> None:
    with pytest.raises(cp.ConfigurationError):
        config_hash("gw", [name])
    with pytest.raises(cp.ConfigurationError):
        config_hash(name, [])


def test_logins_come_from_the_gateways_file_and_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(
        """
        [accounts.main]
        login = "A2"
        secret = "hunter2"
        symbols = [".*"]
        [accounts.second]
        login = "A1"
        password = "hunter3"
        [users.u1]
        accounts = [".*"]
        """,
        encoding="utf-8",
    )
    assert read_logins(path) == ("A1", "A2")
    path.write_text("symbols = ['.*']\n", encoding="utf-8")
    assert read_logins(path) == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[accounts.main]\nsecret = 'hunter2'\n", r"\[accounts.main\] has no login"),
        ("[accounts.main]\nlogin = 5\nsecret = 'hunter2'\n", r"\[accounts.main\] has no login"),
        ("accounts = 'hunter2'\n", "accounts is not a table"),
        ("accounts = ['hunter2']\n", "accounts is not a table"),
        ("[accounts.main]\nsecret = hunter2\n", r"not a TOML file \(line 2, column 10\)"),
        ("secret = 'hunter2\n", "not a TOML file"),
        (f"secret = {'1' * 5000}\n", "not a TOML file"),
        (f"secret = {'[' * 5000}\n", "not a TOML file"),
    ],
)
def test_broken_files_are_explained_without_their_secrets(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(cp.ConfigurationError, match=complaint) as caught:
        read_logins(path)
    assert "hunter" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(cp.ConfigurationError, match="cannot be read"):
        read_logins(tmp_path / "missing.toml")


def test_limits(tmp_path: Path) -> None:
    assert len(login_set(str(number) for number in range(10_000))) == 10_000
    with pytest.raises(cp.ConfigurationError, match="10001 are too many; the limit is 10000"):
        login_set(str(number) for number in range(10_001))
    large = tmp_path / "large.toml"
    with large.open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(cp.ConfigurationError, match="larger than 16 MiB"):
        read_logins(large)
