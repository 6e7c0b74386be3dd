"""``profile add | list | show``, and ``--profile`` of the commands that connect."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell
from tests.support.config import write_config

SECRET = "correct-horse-battery"


@pytest.fixture(autouse=True)
def config(shell: Shell) -> Path:
    """The configuration file that the commands of *shell* use; it does not exist yet."""
    path = shell.folder / "config.toml"
    shell.environment["CRYPTOPROTO_CONFIG"] = str(path)
    return path


def add_paper(shell: Shell, exchange: Exchange, *more: str) -> None:
    added = shell(
        *("profile", "add", "paper", "--url", exchange.url, "--client-id", "alice", "--key", "alice.pem"),
        *("--server-key", "exchange.pub", "--market-data-url", exchange.market_data_url),
        *more,
    )
    assert added.code == 0, added.err
    assert added.err == ""


def without_connection(shell: Shell) -> None:
    """Leave the configuration file as the only source."""
    shell.environment = {"CRYPTOPROTO_CONFIG": shell.environment["CRYPTOPROTO_CONFIG"]}


# add


def test_a_profile_is_added_with_absolute_paths(shell: Shell, config: Path) -> None:
    result = shell(
        *("profile", "add", "paper", "--url", "wss://api.example.com", "--client-id", "alice", "--key", "alice.pem"),
        *("--server-key", "no.pub", "--store", "alice.db", "--protocol", "v5", "--order-rate", "50", "--insecure"),
        *("--password-command", "pass show 'the alice'", "--nats", "nats://127.0.0.1:4222"),
    )
    assert result.code == 0, result.err
    assert str(config) in result.out.replace("\n", "")
    assert f"server_key: {shell.folder / 'no.pub'} does not exist yet" in result.err
    assert cp.Profile.load("paper", path=config).values == {
        "url": "wss://api.example.com",
        "client_id": "alice",
        "key": str(shell.folder / "alice.pem"),
        "server_key": str(shell.folder / "no.pub"),
        "protocol": "v5",
        "store": str(shell.folder / "alice.db"),
        "nats": "nats://127.0.0.1:4222",
        "order_rate": 50.0,
        "password_command": ["pass", "show", "the alice"],
        "insecure": True,
    }


def test_what_a_profile_lacks_is_said(shell: Shell, config: Path) -> None:
    result = shell("profile", "add", "paper", "--client-id", "alice")
    assert result.code == 0
    assert "to connect, it lacks: url, key, server_key" in result.err
    result = shell("profile", "add", "other", "--client-id", "bob", "--key", "bob.pem", "--json")
    assert result.lines == [
        {"profile": "other", "file": str(config), "lacking": ["url", "server_key"], "absent_files": ["key"]}
    ]
    only_market_data = shell("profile", "add", "feed", "--market-data-url", "wss://md.example.com")
    assert only_market_data.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("paper",), "nothing to write: pass --url"),
        (("a b", "--client-id", "alice"), "cannot name a profile"),
        (("paper", "--url", "example.com"), "is not a WebSocket address"),
        (("paper", "--password-command", "pass 'a"), "--password-command is not a command"),
        (("paper", "--url", f"wss://alice:{SECRET}@example.com"), "must not hold secrets"),
    ],
)
def test_what_cannot_be_added(shell: Shell, config: Path, arguments: tuple[str, ...], words: str) -> None:
    result = shell("profile", "add", *arguments)
    assert result.code == 2
    assert words in " ".join(result.err.split())
    assert SECRET not in result.err
    assert not config.exists()


def test_a_profile_is_not_overwritten(shell: Shell, config: Path) -> None:
    assert shell("profile", "add", "paper", "--client-id", "alice", "--json").code == 0
    before = config.read_text()
    refused = shell("profile", "add", "paper", "--client-id", "bob")
    assert refused.code == 2
    assert "use --force" in refused.err
    assert config.read_text() == before
    assert shell("profile", "add", "paper", "--client-id", "bob", "--force", "--json").code == 0
    assert cp.Profile.load("paper", path=config).values["client_id"] == "bob"


def test_the_commands_on_the_page(shell: Shell, venue: Exchange, config: Path) -> None:
    without_connection(shell)
    page = (Path(__file__).parents[2] / "docs/profiles.md").read_text()
    (block,) = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    commands = [shlex.split(line, comments=True)[1:] for line in block.replace("\\\n", "").splitlines()]
    assert [command[:2] for command in commands] == [["profile", name] for name in ("add", "list", "show", "check")]
    for command in commands:
        result = shell(*(venue.url if word == "wss://api.example.com" else word for word in command))
        assert result.code == 0, result.err


# list


def test_profiles_are_listed(shell: Shell, config: Path) -> None:
    empty = shell("profile", "list")
    assert (empty.code, empty.out) == (0, "")
    assert "has no profiles; write one with: cryptoproto profile add" in empty.err
    assert shell("profile", "list", "--json").lines == [[]]
    write_config(
        config,
        """
        [profiles.paper]
        url = "wss://api.example.com"
        client_id = "alice"
        [profiles.broken]
        sever_key = "[red]"
        """,
    )
    shown = shell("profile", "list")
    assert shown.code == 0
    assert "wss://api.example.com" in shown.out
    assert "unknown key 'sever_key'" in shown.out
    (rows,) = shell("profile", "list", "--json").lines
    assert rows[0] == {
        "profile": "paper",
        "client_id": "alice",
        "url": "wss://api.example.com",
        "protocol": "signed",
        "market_data_url": None,
        "store": None,
    }
    assert "did you mean 'server_key'?" in rows[1]["error"]


# show


def test_settings_are_shown_with_their_sources_and_without_secrets(
    shell: Shell, config: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    exchange_key.public_key.save(shell.folder / "exchange.pub")
    write_config(
        config,
        f"""
        [profiles.paper]
        client_id = "alice"
        key = "alice.pem"
        server_key = "exchange.pub"
        insecure = true
        password_command = ["echo", "{SECRET}"]
        [[profiles.paper.instruments]]
        trade_pair = "BTC_USD"
        tick_size = 0.01
        [profiles.paper.limits]
        max_orders_per_second = 5
        """,
    )
    shell.environment["CRYPTOPROTO_URL"] = f"wss://alice:{SECRET}@api.example.com"
    shown = shell("profile", "show", "paper")
    assert shown.code == 0, shown.err
    text = " ".join(shown.out.split())
    for words in (
        "wss://***@api.example.com",
        "CRYPTOPROTO_URL",
        "echo …",
        "true",
        "tick_size 0.01",
        "[profiles.paper]",
    ):
        assert words in text
    assert alice_key.fingerprint in text
    (found,) = shell("profile", "show", "paper", "--json").lines
    assert found["profile"] == "paper"
    assert found["file"] == str(config)
    assert found["settings"] == {
        "url": "wss://***@api.example.com",
        "client_id": "alice",
        "key": str(shell.folder / "alice.pem"),
        "server_key": str(shell.folder / "exchange.pub"),
        "insecure": True,
        "password_command": ["echo", "…"],
        "instruments": [{"trade_pair": "BTC_USD", "tick_size": "0.01"}],
        "limits": {"max_orders_per_second": 5},
    }
    assert found["sources"]["url"] == "CRYPTOPROTO_URL"
    assert found["key_fingerprint"] == alice_key.fingerprint
    assert found["server_key_fingerprint"] == exchange_key.public_key.fingerprint
    assert SECRET not in shown.out + shown.err + json.dumps(found)


def test_keys_without_a_fingerprint_are_explained(shell: Shell, config: Path, alice_key: cp.PrivateKey) -> None:
    alice_key.save(shell.folder / "locked.pem", password=SECRET)
    write_config(config, '[profiles.paper]\nkey = "locked.pem"\nserver_key = "no.pub"\npassword_command = ["false"]')
    text = " ".join(shell("profile", "show", "paper").out.split())
    assert "the key is encrypted; profile check shows it" in text
    assert "no such public key file" in text
    (found,) = shell("profile", "show", "paper", "--json").lines
    assert (found["key_fingerprint"], found["server_key_fingerprint"]) == (None, None)
    write_config(config, "[profiles.paper]\n")
    assert shell("profile", "show", "paper").code == 0


def test_a_profile_that_is_not_there(shell: Shell, config: Path) -> None:
    assert "there is no such file" in shell("profile", "show", "paper").err
    write_config(config, "[profiles.paper]\n")
    result = shell("profile", "show", "papr", "--json")
    assert result.code == 2
    assert "did you mean 'paper'?" in json.loads(result.err)["message"]


# --profile


def test_every_command_that_connects_takes_a_profile(shell: Shell, venue: Exchange) -> None:
    without_connection(shell)
    add_paper(shell, venue, "--protocol", "v5")
    on = ("--profile", "paper")
    placed = shell("order", "buy", "BTC_USD", "1", "10", *on, "--json")
    assert placed.code == 0, placed.err
    order_id = placed.lines[-1]["payload"]["order_id"]
    assert "10.00000000" in shell("book", "BTC_USD", "--once", *on).out
    assert shell("order", "cancel", str(order_id), *on).code == 0
    assert shell("order", "cancel-all", *on).code == 0
    assert "USD" in shell("request", "balances", *on).out
    assert len(shell("tail", "--count", "2", "--json", *on).lines) == 2
    assert len(shell("bench", "--count", "1", "--json", *on).lines[0]) == 6
    shell.environment["CRYPTOPROTO_PROFILE"] = "paper"
    assert shell("request", "orders", "--json").code == 0


def test_options_count_more_than_the_profile(shell: Shell, venue: Exchange) -> None:
    without_connection(shell)
    add_paper(shell, venue)
    result = shell("request", "balances", "--profile", "paper", "--client-id", "bob")
    assert result.code == 3
    shell.environment["CRYPTOPROTO_CLIENT_ID"] = "bob"
    assert shell("request", "balances", "--profile", "paper").code == 3
    assert shell("request", "balances", "--profile", "paper", "--client-id", "alice").code == 0


def test_what_is_missing_is_named_together(shell: Shell, config: Path) -> None:
    text = " ".join(shell("request", "balances", "--client-id", "alice", "--key", "alice.pem").err.split())
    assert text == (
        "error: no --url and --server-key: pass them, set CRYPTOPROTO_URL and CRYPTOPROTO_SERVER_KEY, "
        "or write url and server_key in a profile, and pass --profile"
    )
    write_config(config, '[profiles.paper]\nclient_id = "alice"\nkey = "alice.pem"\nserver_key = "exchange.pub"')
    text = " ".join(shell("request", "balances", "--profile", "paper").err.split())
    assert text.startswith("error: no --url: pass it, set CRYPTOPROTO_URL, or write url in [profiles.paper] of")
    text = " ".join(shell("book", "BTC_USD", "--profile", "paper").err.split())
    assert text.startswith("error: no --url: pass it, set CRYPTOPROTO_MARKET_DATA_URL, or write market_data_url in")


def test_the_book_has_an_address_of_its_own_by_default(
    shell: Shell, venue: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_connection(shell)
    monkeypatch.setattr("cryptoproto.cli.book._DEFAULT_URL", venue.market_data_url)
    assert shell("book", "BTC_USD", "--once", "--timeout", "5", "--json").code == 0
