"""Without the packages of an extra: every module, every command and the errors name what to install."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

import cryptoproto as cp
from cryptoproto.extras import missing_extra, needs
from tests.support.command_line import process_environment

ROOT: Final = Path(__file__).parents[1]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: Final = {name: set(wanted) for name, wanted in PROJECT["optional-dependencies"].items()}
FOR_DEVELOPERS: Final = {"bench", "dev", "docs", "fuzz", "release"}

MODULE_OF: Final = {
    "nats-py": "nats",
    "prometheus-client": "prometheus_client",
    "pynacl": "nacl",
    "pyyaml": "yaml",
    "pytest-asyncio": "pytest_asyncio",
}
"""The modules whose names are not those of their packages."""

COMMAND_LINE: Final = {"rich", "tomlkit", "typer"}

BLOCKED: Final = """
import sys

class Finder:
    missing = frozenset()

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in self.missing else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Finder, sys.meta_path)

def block(names, reload=()):
    Finder.missing = frozenset(names)
    for name in [name for name in sys.modules if name.partition(".")[0] in {*names, *reload}]:
        del sys.modules[name]
"""
"""Makes modules look as if they were not installed."""

IMPORT_EVERYTHING: Final = """
import importlib, json, pkgutil

def import_all():
    import cryptoproto

    found = {}
    for module in pkgutil.walk_packages(cryptoproto.__path__, "cryptoproto.", onerror=lambda name: None):
        if module.name == "cryptoproto.__main__" or "._fbs" in module.name:  # starts a command; generated
            continue
        try:
            importlib.import_module(module.name)
        except Exception as error:
            found[module.name] = [type(error).__name__, str(error), getattr(error, "name", None)]
    return found

import_all()  # the packages of the extras stay loaded, which saves most of the time
results = []
for names in json.loads(sys.argv[1]):
    block(names, reload=["cryptoproto"])
    results.append(import_all())
print(json.dumps(results))
"""


def python(code: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *arguments],
        env=process_environment() | {"COLUMNS": "300"},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def imported_without(*modules: set[str]) -> list[dict[str, list[str]]]:
    """What cannot be imported if one set of modules is missing, and then another."""
    done = python(IMPORT_EVERYTHING, json.dumps([sorted(each) for each in modules]))
    assert done.returncode == 0, done.stderr
    found: list[dict[str, list[str]]] = json.loads(done.stdout)
    return found


def modules_of(extra: str) -> set[str]:
    packages = {re.split(r"[<>=;\[ ]", wanted)[0] for wanted in EXTRAS[extra]}
    return {MODULE_OF.get(package, package) for package in packages}


OPTIONAL: Final = sorted({module for extra in EXTRAS.keys() - FOR_DEVELOPERS - {"all"} for module in modules_of(extra)})


def test_a_module_that_needs_an_extra_says_so_when_it_is_imported() -> None:
    alone = [name for name in OPTIONAL if name not in COMMAND_LINE]
    groups = [set(alone[start::6]) for start in range(6)]  # no module imports two of one group
    named = set()
    for missing, failed in zip(groups, imported_without(*groups), strict=True):
        for module, (kind, text, name) in failed.items():
            assert kind == "MissingExtra", f"{module}: {text}"
            assert name in missing, f"{module}: {text}"
            extras = re.fullmatch(rf".+ needs {name}: pip install 'cryptoproto\[([a-z,]+)\]'", text)
            assert extras is not None, f"{module}: {text}"
            assert any(name in modules_of(extra) for extra in extras[1].split(",")), f"{module}: {text}"
            named.add(name)
    used_later = {"matplotlib", "pandas", "polars", "pyarrow", "pytest", "pytest_asyncio", "uvloop", "zstandard"}
    assert named == set(alone) - used_later


def test_without_any_extra_the_core_can_be_imported() -> None:
    (failed,) = imported_without(set(OPTIONAL))
    assert {name for name in failed if name.count(".") == 1} == {
        f"cryptoproto.{room}" for room in ("apikeys", "gateway", "status")
    }
    assert {
        "cryptoproto.transport.picows",
        "cryptoproto.client.prometheus",
        "cryptoproto.licensing.agent.agent",
    } <= failed.keys()
    for module, (kind, text, name) in failed.items():
        command = module.startswith("cryptoproto.cli.") and name in COMMAND_LINE
        assert command or kind == "MissingExtra", f"{module}: {text}"


COMMANDS: Final = {
    "apikeys serve --config keys.yaml": "apikeys,server",
    "apikeys sign GET http://localhost/ -k T --secret-file secret": "apikeys",
    "apikeys login http://localhost -k T --private-key key.pem -o session.json": "apikeys",
    "apikeys request GET http://localhost/ -k T": "apikeys",
    "license keygen keys.json": "licensing",
    "license serve --keys manager.json": "licensing",
    "gateway status --client-id alice": "gateway",
    "gateway config nats --client-id alice --strategy mm1": "gateway",
    "top http://127.0.0.1:1/?token=t": "top",
    "record BTC_USD --to monday.rec": "recording",
    "recording info monday.rec": "recording",
    "backtest monday.rec bot.py:main --balance USD=1 --html report.html": "backtest",
    "bench --transport picows --count 1": "fast",
    "history trades store.db --parquet trades.parquet": "frames",
}


def test_a_command_that_needs_an_extra_says_so(tmp_path: Path) -> None:
    (tmp_path / "monday.rec").write_bytes(b"")
    (tmp_path / "bot.py").write_text("async def main(client, feed): ...")
    store = cp.SqliteStore(tmp_path / "store.db", history=True)
    store.open("alice", "fingerprint")
    store.close()
    code = f"""
block({sorted(set(OPTIONAL) - COMMAND_LINE)!r})
import contextlib, io, json
from cryptoproto.cli.app import run

found = {{}}
for line in {list(COMMANDS)!r}:
    sys.argv = ["cryptoproto", *line.split()]
    with contextlib.redirect_stderr(io.StringIO()) as written:
        try:
            code = run()
        except SystemExit as end:
            code = end.code
    found[line] = [int(code), written.getvalue()]
print(json.dumps(found))
"""
    done = python(code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for line, extras in COMMANDS.items():
        exit_code, text = found[line]
        assert exit_code == 2, (line, text)
        assert f"pip install 'cryptoproto[{extras}]'" in text, (line, text)
        assert "Traceback" not in text


@pytest.mark.parametrize("missing", sorted(COMMAND_LINE))
def test_without_the_packages_of_the_command_line(missing: str) -> None:
    done = python(f"block([{missing!r}]); sys.argv[1:] = ['profile', 'list']; from cryptoproto.cli import main; main()")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "The command line needs more packages: pip install 'cryptoproto[cli]'\n"


def test_all_has_every_extra_for_users() -> None:
    (everything,) = EXTRAS["all"]
    listed = re.fullmatch(r"cryptoproto\[([a-z,]+)\]", everything)
    assert listed is not None
    assert set(listed[1].split(",")) == EXTRAS.keys() - FOR_DEVELOPERS - {"all"}


def test_every_requirement_has_a_floor() -> None:
    for wanted in [*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)]:
        assert re.match(r"[a-zA-Z0-9_-]+(\[[a-z]+\])?(>=|==)\d", wanted) or wanted.startswith("cryptoproto["), wanted


def test_a_missing_module_of_another_kind_keeps_its_error() -> None:
    with pytest.raises(ModuleNotFoundError) as caught, needs("this", "top"):
        raise ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere")
    assert not isinstance(caught.value, cp.MissingExtra)
    with pytest.raises(ModuleNotFoundError, match="without a name"), needs("this", "top"):
        raise ModuleNotFoundError("without a name")


def test_the_outermost_block_counts() -> None:
    with (
        pytest.raises(cp.MissingExtra, match=r"this needs httpx: pip install 'cryptoproto\[status\]'"),
        needs("this", "status"),
        needs("that", "top"),
    ):
        raise ModuleNotFoundError("No module named 'httpx._client'", name="httpx._client")


def test_the_error_survives_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(missing_extra("this", "httpx", "apikeys", "server")))
    assert (str(error), error.name) == ("this needs httpx: pip install 'cryptoproto[apikeys,server]'", "httpx")
    assert isinstance(error, cp.ConfigurationError | ImportError)
