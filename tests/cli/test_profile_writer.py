"""Writing profiles: comments and other profiles stay, the file is replaced in one step, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.cli.profile_writer import with_profile, write_profile
from tests.support.config import write_config

COMMENTED = """\
# My accounts.
[profiles.paper]  # for tests
url = "ws://127.0.0.1:8400"  # local
client_id = 'alice'

# the real one
[profiles.live]
url = "wss://api.example.com"
[[profiles.live.instruments]]
trade_pair = "BTC_USD"
tick_size = 0.01
# the end
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "config.toml"


def test_the_file_and_its_folder_are_made_for_the_user_alone(path: Path) -> None:
    file = write_profile(path, "paper", {"url": "wss://a.example", "order_rate": 2.5}, force=False)
    assert file.values("paper") == {"url": "wss://a.example", "order_rate": 2.5}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["config.toml"]


def test_a_new_profile_is_added_at_the_end(path: Path) -> None:
    path.parent.mkdir()
    write_config(path, COMMENTED)
    write_profile(path, "new", {"password_command": ["pass", "show", 'a"b']}, force=False)
    assert path.read_text() == COMMENTED + '\n[profiles.new]\npassword_command = ["pass", "show", "a\\"b"]\n'


def test_a_profile_is_changed_only_by_force(path: Path) -> None:
    path.parent.mkdir()
    write_config(path, COMMENTED)
    with pytest.raises(cp.ConfigurationError, match=r"has a profile 'paper' already, which was not changed; .*--force"):
        write_profile(path, "paper", {"url": "wss://a.example"}, force=False)
    assert path.read_text() == COMMENTED
    write_profile(path, "paper", {"url": "wss://a.example", "key": "/a.pem"}, force=True)
    assert path.read_text() == COMMENTED.replace('"ws://127.0.0.1:8400"', '"wss://a.example"').replace(
        "# for tests\n", '# for tests\nkey = "/a.pem"\n'
    )


@pytest.mark.parametrize(
    "text",
    ["[profiles]\npaper.url = 'wss://b.example' # keep\n", "profiles.paper.url='wss://b.example' # keep", COMMENTED],
)
def test_other_ways_to_write_a_profile(path: Path, text: str) -> None:
    path.parent.mkdir()
    write_config(path, text)
    file = write_profile(path, "paper", {"url": "wss://a.example", "key": "/a.pem"}, force=True)
    assert file.values("paper").items() >= {"url": "wss://a.example", "key": "/a.pem"}.items()
    for comment in ("# keep", "# local", "# the end"):
        assert (comment in path.read_text()) is (comment in text)


@pytest.mark.parametrize(
    "text",
    [
        "profiles = {paper = {url = 'wss://a.example'}}\n",
        "[profiles.live]\nclient_id = '''\n[profiles.paper]\n'''\n[profiles]\npaper = {url = 'wss://a.example'}\n",
    ],
)
def test_what_cannot_be_changed_is_left_alone(path: Path, text: str) -> None:
    path.parent.mkdir()
    write_config(path, text)
    before = path.read_text()
    name = "paper" if "'''" in text else "new"
    with pytest.raises(cp.ConfigurationError, match=r"edit the file by hand|is not TOML|has no profile"):
        write_profile(path, name, {"key": "/a.pem"}, force=True)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("a.b", {"url": "wss://a.example"}, "cannot name a profile"),
        ("new", {"url": "example.com"}, r"url in \[profiles.new\] of .* is not a WebSocket address"),
        ("new", {"url": "wss://alice:secret@a.example"}, "this file must not hold secrets"),
        ("new", {"sever_key": "a"}, "did you mean 'server_key'"),
    ],
)
def test_what_could_not_be_read_is_not_written(path: Path, name: str, values: dict[str, Any], words: str) -> None:
    path.parent.mkdir()
    write_config(path, COMMENTED)
    with pytest.raises(cp.ConfigurationError, match=words):
        write_profile(path, name, values, force=False)
    assert path.read_text() == COMMENTED


def test_a_symbolic_link_stays_one(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    target = write_config(tmp_path / "dotfiles.toml", COMMENTED)
    path.symlink_to(target)
    write_profile(path, "new", {"client_id": "bob"}, force=False)
    assert path.is_symlink()
    assert tomllib.loads(target.read_text())["profiles"]["new"] == {"client_id": "bob"}


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(cp.ConfigurationError, match="the folder cannot be made"):
        write_profile(tmp_path / "file" / "folder" / "config.toml", "a", {"client_id": "a"}, force=False)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9_-]{1,5}", fullmatch=True), st.text(min_size=1, max_size=5), min_size=1, max_size=4
    ),
    st.text(min_size=1, max_size=5),
)
def test_any_text_can_be_written_and_read(profiles: dict[str, str], last: str) -> None:
    text = ""
    for name, value in profiles.items():
        text = with_profile(text, name, {"client_id": value})
    changed = next(iter(profiles))
    text = with_profile(text, changed, {"client_id": last, "store": "/a.db"})
    expected = {name: {"client_id": value} for name, value in profiles.items()}
    expected[changed] = {"client_id": last, "store": "/a.db"}
    assert tomllib.loads(text) == {"profiles": expected}


def _write(path: Path, number: int) -> None:
    write_profile(path, f"profile-{number}", {"client_id": str(number)}, force=False)


def test_commands_at_the_same_moment_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write, args=(path, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(tomllib.loads(path.read_text())["profiles"]) == 8


def test_without_locks_a_profile_is_written_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fcntl", None)
    assert write_profile(path, "paper", {"client_id": "a"}, force=False).names == ["paper"]
