"""Which exit code an error becomes, and how it is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.cli.exit_codes import ExitCode, exit_code, show_error, wants_json
from cryptoproto.exceptions import LicenseRefused, ManagerUnavailable

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"


def sent(error: cp.CryptoprotoError) -> cp.CryptoprotoError:
    error.sent = True
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (cp.OrderRejected("no"), ExitCode.FAILED),
        (cp.InsufficientFundsError("USD"), ExitCode.FAILED),
        (sent(cp.InvalidPayload(2, "no")), ExitCode.FAILED),
        (cp.StoreError("full"), ExitCode.FAILED),
        (LicenseRefused("no_agreement", "no"), ExitCode.FAILED),
        (cp.ConfigurationError("no"), ExitCode.USAGE),
        (cp.OrderInvalid("no"), ExitCode.USAGE),
        (cp.ConnectionClosed(None, "refused"), ExitCode.NO_CONNECTION),
        (cp.InvalidKey("another"), ExitCode.NO_CONNECTION),
        (cp.OpenTimeout("slow"), ExitCode.NO_CONNECTION),
        (cp.DecodeError("rubbish"), ExitCode.NO_CONNECTION),
        (cp.RequestNotSent("no"), ExitCode.NO_CONNECTION),
        (ManagerUnavailable("down"), ExitCode.NO_CONNECTION),
        (sent(cp.ConnectionClosed(1006, "lost")), ExitCode.NO_ANSWER),
        (cp.RequestTimeout("slow"), ExitCode.NO_ANSWER),
        (cp.OutcomeUnknown("lost"), ExitCode.NO_ANSWER),
        (cp.IdentityInUse("alice", 7), ExitCode.IN_USE),
    ],
    ids=lambda value: value.name if isinstance(value, ExitCode) else type(value).__name__,
)
def test_the_code_of_an_error(error: cp.CryptoprotoError, code: ExitCode) -> None:
    assert exit_code(error) is code


def test_the_codes_are_distinct_and_documented() -> None:
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE)}
    assert documented == {int(code) for code in ExitCode}
    assert len(ExitCode.__members__) == len(ExitCode)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["tail", "--json"], True),
        (["--json"], True),
        (["tail"], False),
        (["request", "--", "--json"], False),
        ([], False),
    ],
)
def test_json_is_looked_up_among_the_options(arguments: list[str], wanted: bool) -> None:
    assert wants_json(arguments) is wanted


def test_an_error_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    show_error("OrderRejected", "no [red]money[/]", ExitCode.FAILED, as_json=False)
    assert capsys.readouterr().err == "error: no [red]money[/]\n"
    show_error("OrderRejected", "no [red]money[/]", ExitCode.FAILED, as_json=True)
    written = json.loads(capsys.readouterr().err)
    assert written == {"error": "OrderRejected", "message": "no [red]money[/]", "exit_code": 1}
