"""The files of a NATS server: secrets, what stays when it is written anew, and servers that accept them."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError
from cryptoproto.gateway import Operator
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.server_config import Listening, write_server_config
from tests.support.certificates import self_signed
from tests.support.nats_server import nats_server

NAMES = Names("alice@example.com")


def test_all_files_are_readable_for_their_owner_only(tmp_path: Path) -> None:
    files = write_server_config(tmp_path / "nats", NAMES, ["mm1"], Listening(servers=("a", "b", "c"), insecure=True))
    written = [path for path in (tmp_path / "nats").rglob("*") if path.is_file()]
    assert len(written) == 7
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}
    for path in files.configs:
        assert files.gateway_seed.read_text().strip() not in path.read_text()
        assert "sync_interval: always" in path.read_text()


def test_keys_stay_when_strategies_are_added(tmp_path: Path) -> None:
    first = write_server_config(tmp_path, NAMES, ["mm1"], Listening())
    seed = first.strategy_seeds["mm1"].read_text()
    second = write_server_config(tmp_path, NAMES, ["mm2"], Listening())
    assert sorted(second.strategy_seeds) == ["mm1", "mm2"]
    assert second.strategy_seeds["mm1"].read_text() == seed
    assert second.configs[0].read_text().count("nkey: U") == 4


def test_a_strategy_without_a_seed_has_no_rights_any_more(tmp_path: Path) -> None:
    files = write_server_config(tmp_path, NAMES, ["mm1", "mm2"], Listening())
    files.strategy_seeds["mm1"].unlink()
    files = write_server_config(tmp_path, NAMES, [], Listening())
    assert ".command.mm1" not in files.configs[0].read_text()


def test_a_file_that_is_no_seed_is_not_overwritten(tmp_path: Path) -> None:
    files = write_server_config(tmp_path, NAMES, ["mm1"], Listening())
    files.strategy_seeds["mm1"].write_text("important\n")
    with pytest.raises(cp.ConfigurationError, match="not an nkey seed"):
        write_server_config(tmp_path, NAMES, ["mm1"], Listening())
    assert files.strategy_seeds["mm1"].read_text() == "important\n"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"tls_cert": "a.pem"}, "belong together"),
        ({"host": "0.0.0.0"}, "without TLS"),
        ({"servers": ("a", "b", "c")}, "without TLS"),
        ({"servers": ("a", "b")}, "at least three .* only a and b"),
        ({"servers": ("a", "b", "c/../d"), "insecure": True}, "host name"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=match):
        Listening(**options)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(cp.ConfigurationError, match="the folder cannot be made"):
        write_server_config(tmp_path / "file", NAMES, [], Listening())


async def test_a_server_with_tls(tmp_path: Path) -> None:
    trusted, _ = self_signed(tmp_path)
    both = str(tmp_path / "exchange.pem")
    listening = Listening(store=str(tmp_path / "js"), tls_cert=both, tls_key=both)
    files = write_server_config(tmp_path / "config", NAMES, [], listening)
    with nats_server(tmp_path, files.configs[0], "tls") as nats:
        async with Operator(
            nats.url, NAMES.client_id, nkey_seed=files.operator_seed, tls=ssl.create_default_context(cafile=trusted)
        ) as operator:
            with pytest.raises(GatewayError, match="no gateway owns the session"):
                await operator.status()
