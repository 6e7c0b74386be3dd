"""What the package exports, and what it needs for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cryptoproto import licensing
from cryptoproto.licensing import (
    InvalidToken,
    LicensingError,
    MalformedMessage,
    SealBroken,
)


def test_all_errors_are_of_one_branch() -> None:
    assert issubclass(MalformedMessage, LicensingError)
    assert issubclass(InvalidToken, LicensingError)
    assert issubclass(SealBroken, LicensingError)


def test_every_exported_name_is_there() -> None:
    assert dir(licensing) == sorted(licensing.__all__)
    assert len(licensing.__all__) < 40
    for name in licensing.__all__:
        assert getattr(licensing, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = licensing.Nothing


def without(module: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in a Python in which *module* cannot be imported."""
    blocked = f"import sys; sys.modules[{module!r}] = None\n"
    return subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True, check=False)


def test_the_config_hash_needs_no_extra() -> None:
    code = "sys.modules |= dict.fromkeys(['nacl', 'psutil', 'flatbuffers'])\n"
    code += "from cryptoproto.licensing import config_hash, read_logins; print(config_hash('gw', ['A1']).hex())"
    done = without("httpx", code)
    assert done.stdout.strip() == licensing.config_hash("gw", ["A1"]).hex(), done.stderr


@pytest.mark.parametrize("module", ["httpx", "nacl", "flatbuffers", "psutil"])
def test_a_missing_package_names_the_extra(module: str) -> None:
    done = without(module, "from cryptoproto.licensing import LicenseAgent")
    assert f"cryptoproto.licensing needs {module}: pip install 'cryptoproto[licensing]'" in done.stderr


def test_another_missing_module_is_not_explained_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str, package: str) -> None:
        raise ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere")

    monkeypatch.setattr(licensing, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="No module named 'elsewhere'"):
        _ = licensing.KeyPair


def test_the_extra_is_named_by_the_import_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str) -> None:
        raise ModuleNotFoundError("No module named 'nacl'", name="nacl")

    monkeypatch.setattr(licensing, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r"cryptoproto.licensing needs nacl: pip install"):
        _ = licensing.KeyPair
