"""The code on the page about the gateway runs, with a real NATS server and the embedded exchange."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest
import yaml

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.server_config import Listening, write_server_config
from tests.support.nats_server import nats_server

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r'^```python title="[^"]+"\n(.*?)^```$', (ROOT / "docs/gateway.md").read_text(), re.MULTILINE | re.DOTALL
)


def test_there_is_something_to_run() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("block", BLOCKS)
async def test_the_code_in_the_documentation_runs(
    block: str, tmp_path: Path, alice_key: cp.PrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    with nats_server(tmp_path) as nats:
        async with Exchange(book_interval=0.001) as exchange:
            exchange.register("alice", alice_key.public_key, balances={"USD": "1000000"})
            gateway = Gateway(
                nats.url,
                url=exchange.url,
                client_id="alice",
                private_key=alice_key,
                server_key=exchange.public_key,
                market_data_url=exchange.market_data_url,
            )
            names = {
                "nats_url": nats.url,
                "url": exchange.url,
                "private_key": alice_key,
                "server_key": exchange.public_key,
            }
            async with gateway:
                await gateway.wait_owner()
                async with GatewayClient(nats.url, client_id="alice", strategy="mm1"):
                    if " Gateway(" in block:
                        await gateway.close()
                    code = compile(
                        textwrap.dedent(block), "docs/gateway.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
                    )
                    result = eval(code, names)
                    if inspect.isawaitable(result):
                        await result
    assert capsys.readouterr().out


def test_the_servers_of_the_compose_file_have_a_configuration(tmp_path: Path) -> None:
    services = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
    listening = Listening(servers=tuple(services), tls_cert="a", tls_key="b")
    files = write_server_config(tmp_path, Names("alice"), [], listening)
    assert [path.name for path in files.configs] == [Path(service["command"][-1]).name for service in services.values()]
