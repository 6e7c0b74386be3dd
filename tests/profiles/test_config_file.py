"""The configuration file: what is refused, in words that name file, profile and key, and how paths are read."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.profiles.config_file import ConfigFile, default_path
from tests.support.config import write_config

GOOD = '[profiles.paper]\nurl = "wss://api.example.com"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_the_file_is_in_the_configuration_folder_of_the_user() -> None:
    assert default_path({}) == platformdirs.user_config_path("cryptoproto", appauthor=False) / "config.toml"
    assert default_path({"CRYPTOPROTO_CONFIG": ""}) == default_path({})
    assert default_path({"CRYPTOPROTO_CONFIG": "~/a.toml"}) == Path.home() / "a.toml"


@pytest.mark.skipif(os.name != "posix", reason="other systems have other folders")
def test_the_configuration_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if platformdirs.PlatformDirs.__name__ != "Unix":
        pytest.skip("not a system with XDG folders")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_path() == tmp_path / "cryptoproto" / "config.toml"


def test_profiles_are_listed_in_the_order_of_the_file(path: Path) -> None:
    write_config(path, "[profiles.z]\n[profiles.a]\n")
    file = ConfigFile(path)
    assert file.names == ["z", "a"]
    assert "a" in file
    assert "b" not in file
    assert file.values("a") == {}
    assert repr(file) == f"<ConfigFile {path}: z, a>"
    assert "no profiles" in repr(ConfigFile(write_config(path, "")))


def test_relative_paths_are_relative_to_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(
        path,
        """
        [profiles.paper]
        key = "keys/alice.pem"
        server_key = "/etc/exchange.pub"
        store = "~/alice.db"
        password_command = ["./ask", "./alice"]
        [profiles.other]
        password_command = ["pass", "./alice"]
        """,
    )
    monkeypatch.chdir("/")
    assert ConfigFile(path).values("paper") == {
        "key": str(path.parent / "keys/alice.pem"),
        "server_key": "/etc/exchange.pub",
        "store": str(Path.home() / "alice.db"),
        "password_command": [str(path.parent / "ask"), "./alice"],
    }
    assert ConfigFile(path).values("other")["password_command"] == ["pass", "./alice"]
    monkeypatch.chdir(path.parent)
    assert ConfigFile("config.toml").path == path


def test_a_broken_profile_does_not_stop_the_others(path: Path) -> None:
    write_config(path, GOOD + "[profiles.broken]\nurl = 1\n")
    assert ConfigFile(path).values("paper") == {"url": "wss://api.example.com"}
    with pytest.raises(cp.ConfigurationError, match=r"url in \[profiles.broken\] of .* must be text in quotes"):
        ConfigFile(path).values("broken")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[profiles.paper", "is not TOML: expected ']' at the end of a table declaration (at end of document"),
        ("[profiles.paper]\nurl = 'a'\nurl = 'b'\n", "is not TOML: cannot overwrite a value (at line 3"),
        ("a = " + "[" * 100_000, "is not a configuration: it is nested too deeply"),
        ("a." * 2_000 + "a = 1", "is not a configuration: it is nested too deeply"),
        ("a = " + "9" * 10_000, "{path} is not a configuration: a number in it is too long"),
        ("a = 1e99999999999999999999", "{path} is not a configuration: a number in it is too long"),
        ("profile.paper.url = 'a'", "unknown key 'profile' in {path}; did you mean 'profiles'?"),
        ("title = 'a'", "unknown key 'title' in {path}; profiles are tables like [profiles.paper]"),
        ("profiles = 1", "profiles in {path} must be tables like [profiles.paper]"),
        ("[profiles]\npaper = 1", "profiles.paper in {path} must be a table: [profiles.paper]"),
        ("[profiles.papr]", "{path} has no profile 'paper'; did you mean 'papr'?"),
        ("[profiles.live]\n[profiles.test]", "{path} has no profile 'paper'; it has live, test"),
        ("", "{path} has no profile 'paper'; it has none"),
    ],
)
def test_a_file_that_holds_something_else(path: Path, text: str, words: str) -> None:
    write_config(path, text)
    with pytest.raises(cp.ConfigurationError) as caught:
        ConfigFile(path).values("paper")
    assert words.format(path=path) in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read(path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"config.toml: there is no such file; .*cryptoproto profile add"):
        ConfigFile(path)
    with pytest.raises(cp.ConfigurationError, match="the configuration cannot be read: Is a directory"):
        ConfigFile(path.parent)
    path.write_bytes(b"# \xff")
    path.chmod(0o600)
    with pytest.raises(cp.ConfigurationError, match="it is not UTF-8 text"):
        ConfigFile(path)
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(cp.ConfigurationError, match="more than 1048576 bytes, too large for a configuration"):
        ConfigFile(path)


LINES = (
    "[profiles.paper]", "[[profiles.paper.instruments]]", "[profiles]", "[profiles.paper.limits]", "paper = 1",
    "url = 'a'",
    "url = 'wss://a.example'", "trade_pair = 'A_B'", "tick_size = nan", "tick_size = 0.1", "order_rate = inf",
    "order_rate = 1e400", "key = '\\u0000'", "store = '~no-such-user/a'", "key = []", "exclusive = 2020-01-01",
    "password_command = ['', 'a']", "password_command = [{}]", "limits = {max_value = {A_B = 1, B_C = 'x'}}", "'''",
    "profiles.paper.url = {}", "max_amount = -1", "pairs = ['A_B', 1]",
)  # fmt: skip


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=20), max_size=8))
def test_whatever_the_text_the_error_is_one_of_the_configuration(lines: list[str]) -> None:
    with contextlib.suppress(cp.ConfigurationError):
        file = ConfigFile("/a/config.toml", "\n".join(lines))
        for name in file.names:
            file.values(name)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(path: Path, mode: int) -> None:
    write_config(path, GOOD, mode)
    with pytest.raises(cp.ConfigurationError, match=f"mode {mode:04o} lets other users change .* run: chmod go-w"):
        ConfigFile(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_that_others_can_read_is_fine(path: Path) -> None:
    assert ConfigFile(write_config(path, GOOD, 0o644)).names == ["paper"]


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(path, GOOD)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    if owner == 0:  # root is trusted, so the file has to belong to somebody else
        os.chown(path, 12345, -1)
    with pytest.raises(cp.ConfigurationError, match="belongs to another user, who could change it"):
        ConfigFile(path)


def test_where_files_have_no_mode_it_is_not_checked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(path, GOOD, 0o666)
    monkeypatch.setattr("cryptoproto.profiles.config_file.os", _WithoutModes())
    assert ConfigFile(path).names == ["paper"]


class _WithoutModes:
    """The module ``os`` of another platform."""

    name = "nt"

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


def test_a_home_folder_that_nobody_has(path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="CRYPTOPROTO_CONFIG: ~no-such-user is not the home folder"):
        default_path({"CRYPTOPROTO_CONFIG": "~no-such-user/config.toml"})
    with pytest.raises(cp.ConfigurationError, match="the configuration file: ~no-such-user is not"):
        ConfigFile("~no-such-user/config.toml")
    write_config(path, "[profiles.paper]\npassword_command = ['~no-such-user/ask']")
    with pytest.raises(cp.ConfigurationError, match=r"password_command in .*: ~no-such-user is not"):
        ConfigFile(path).values("paper")


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ä", "x" * 65, "../x", "[red]"])
def test_names_that_profiles_cannot_have(path: Path, name: str) -> None:
    write_config(path, GOOD)
    with pytest.raises(cp.ConfigurationError, match="cannot name a profile"):
        ConfigFile(path).values(name)
