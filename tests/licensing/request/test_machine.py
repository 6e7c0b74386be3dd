"""Facts about the machine, from files of the kernel; nothing is executed."""

from __future__ import annotations

import os
import subprocess
import time

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
