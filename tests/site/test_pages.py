"""The generated pages have everything that the code has."""

from __future__ import annotations

import inspect
import re
import tomllib

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto import exceptions
from cryptoproto.cli.exit_codes import ExitCode
from cryptoproto.messages import Message
from cryptoproto.wire import CloseCode
from tests.support.pages import ROOT
from tools.site.enum_values import documented_values
from tools.site.markdown import arguments
from tools.site.pages import (
    api,
    close_codes,
    commands,
    configuration,
    messages,
    metrics,
    notebooks,
    options,
)
from tools.site.public_names import MODULES, exported

BASES = {"Message", "PlaceOrder", "OrderPlaced", "OrderAmountChanged", "OrderCancelled", "OrderClosed"}


def headings(text: str, level: int) -> set[str]:
    return set(re.findall(rf"^{'#' * level} (.+)$", text, re.MULTILINE))


def test_every_message_is_there_with_its_fields_and_its_json() -> None:
    page = messages.page()
    classes = {name: value for name, value in vars(cp).items() if inspect.isclass(value)}
    names = {name for name in cp.__all__ if issubclass(classes.get(name, object), Message)}
    assert headings(page, 3) == names - BASES
    for name in names - BASES:
        section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        assert f'"@type": "{name}"' in section
        assert all(f"| `{field.encode_name}` |" in section for field in msgspec.structs.fields(getattr(cp, name)))


def test_every_close_code_is_there_with_its_error_and_what_follows() -> None:
    page = close_codes.page()
    assert set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE)) == {str(int(code)) for code in CloseCode}
    assert re.search(r"^\| 4000 \|.*ConcurrentConnection.*\| closes for good \|$", page, re.MULTILINE)
    assert re.search(r"^\| 4009 \|.*RateLimited.*\| reconnects after 5 seconds or more \|$", page, re.MULTILINE)


@pytest.mark.parametrize(("title", "taker"), [(title, taker) for title, taker, _ in options.TAKERS])
def test_every_option_is_there_with_its_meaning_and_its_default(title: str, taker: object) -> None:
    assert options.defaults(taker).keys() == arguments(taker).keys()


def test_the_defaults_are_shown_as_they_are_written() -> None:
    page = options.page()
    assert "| `protocol` | `Protocol.SIGNED` |" in page
    assert '| `transport` | `"auto"` |' in page
    assert "| `ping_interval` | `4.0` |" in page
    assert "| `client_id` | required |" in page


def test_every_command_is_there() -> None:
    page = commands.page()
    names = headings(page, 2) - {"Exit codes"}
    assert names == {name.removeprefix("cryptoproto ") for name, _ in commands.commands()}
    for name in ("keygen", "order buy", "gateway run", "profile check"):
        assert name in names
        assert f"cryptoproto {name} [OPTIONS]" in page
    assert [int(code) for code, _ in documented_values(ExitCode)] == [int(code) for code in ExitCode]
    assert all(meaning for _, meaning in documented_values(ExitCode))


def test_every_key_of_a_profile_and_every_variable_is_there() -> None:
    page = configuration.page()
    for name in ("url", "limits", "tick_size", "price_band"):
        assert f"| `{name}` |" in page
    assert configuration.variables().keys() >= {"CRYPTOPROTO_URL", "CRYPTOPROTO_PROFILE", "CRYPTOPROTO_STORE"}


async def test_every_metric_has_a_meaning_and_its_name_in_prometheus() -> None:
    snapshot = await metrics.fresh_metrics()
    names = [*snapshot.counters, *snapshot.gauges, *snapshot.histograms]
    assert sorted(names) == sorted(metrics.MEANINGS)


def test_the_page_of_metrics_has_the_names_that_prometheus_sees() -> None:
    page = metrics.page()
    assert "| counter | `cryptoproto_client_orders_sent_total` |" in page
    assert "| gauge | `cryptoproto_client_throttling_hold_seconds` |" in page
    assert "| histogram | `cryptoproto_client_order_to_acknowledgement_seconds` |" in page


def test_every_public_name_has_a_place_in_the_api() -> None:
    blocks = {name for text in api.pages().values() for name in re.findall(r"^::: (\S+)", text, re.MULTILINE)}
    assert blocks == set(exported())
    assert all(module in "".join(api.pages().values()) for module in MODULES)


def test_a_notebook_is_shown_with_its_results() -> None:
    page = notebooks.pages()["notebooks/account.md"]
    assert page.startswith("# Explore an account")
    assert "open 1.00000000 left" in page
    assert "](../profiles.md)" in page
    assert 'src="data:image/png;base64,' in notebooks.pages()["notebooks/research.md"]


ERRORS = (ROOT / "docs/errors.md").read_text()


def test_every_error_is_on_its_page_once_with_what_to_do() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", ERRORS, re.MULTILINE)
    assert sorted(name for name, *_ in rows) == sorted(exceptions.__all__)
    for name, _, sent, _ in rows:
        always = getattr(exceptions, name).sent
        assert sent == (f"`{always}`" if always is not None else sent)
        assert sent in {"`True`", "`False`", "`None`", "as the call"}


def test_every_extra_is_explained() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    explained = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/start/install.md").read_text(), re.MULTILINE))
    assert extras.keys() - explained <= {"all", "bench", "dev", "docs", "fuzz", "release"}
    assert explained <= extras.keys()


def test_the_unit_of_systemd_is_one_that_the_page_explains() -> None:
    page = (ROOT / "docs/how-to/deploy.md").read_text()
    unit = (ROOT / "deploy/bot.service").read_text()
    assert "(../../deploy/bot.service)" in page
    for path in ("/run/bot/key.pem", "/var/lib/bot", "/etc/bot", "/opt/bot/venv"):
        assert path in page
        assert path in unit


def test_the_example_of_a_command_can_be_copied_alone() -> None:
    page = commands.page()
    assert "```sh\ncryptoproto keygen alice.pem\n```\n\nwrites alice.pem and alice.pub\n" in page
    assert "```sh\ncryptoproto order buy BTC_USD 0.5 15000 --time-in-force ioc\n```" in page
    for example in re.findall(r"```sh\n(.*?)\n```", page, re.DOTALL):
        assert example.startswith(("cryptoproto ", "pip ")), example
        assert "\n" not in example
