"""Facts about the machine, from files of the kernel; nothing is executed."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cryptoproto.licensing.request.machine import fixed_facts, moving_facts, printable


def test_nothing_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise RuntimeError("something was executed")

    monkeypatch.setattr(subprocess.Popen, "__init__", forbidden)
    for name in ("system", "popen", "fork", "posix_spawn", "execv"):
        monkeypatch.setattr(os, name, forbidden)
    facts = fixed_facts() | moving_facts(time.time_ns())
    assert facts["kernel_release"] == os.uname().release


def test_what_a_sandbox_hides_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(psutil, "virtual_memory", hidden)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", hidden)
    facts = moving_facts(time.time_ns())
    assert facts["system_total_memory"] is None
    assert facts["cpu_affinity"] is None
    assert facts["process_max_rss"]


def test_odd_text_becomes_acceptable() -> None:
    assert printable("a\x00b\x1b[31m\n") == "a b [31m "
    assert printable("\ud800x") == "?x" or printable("\ud800x") == " x"
    assert printable("é" * 200) == "é" * 128
    assert printable("") == ""


def test_what_the_machine_does_not_tell_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(self: Path, **_: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", hidden)
    monkeypatch.setattr(os, "sysconf_names", {})
    facts = fixed_facts()
    assert facts["machine_id"] is None
    assert facts["cache_line_size"] == 0


def test_the_cache_line_from_the_system_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self, **_: "unknown")
    monkeypatch.setattr(os, "sysconf_names", {"SC_LEVEL1_DCACHE_LINESIZE": 1})
    monkeypatch.setattr(os, "sysconf", lambda name: -1 if name == "SC_LEVEL1_DCACHE_LINESIZE" else 4096)
    assert fixed_facts()["cache_line_size"] == 0


def test_the_cache_line_from_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self, **_: "64\n")
    assert fixed_facts()["cache_line_size"] == 64


@pytest.mark.parametrize(("system", "factor"), [("linux", 1024), ("darwin", 1)])
def test_the_unit_of_the_largest_memory(monkeypatch: pytest.MonkeyPatch, system: str, factor: int) -> None:
    class Usage:
        ru_maxrss = 7

    monkeypatch.setattr(resource, "getrusage", lambda _: Usage())
    monkeypatch.setattr(sys, "platform", system)
    assert moving_facts(time.time_ns())["process_max_rss"] == 7 * factor
