"""How much memory this process holds."""

from __future__ import annotations

from pathlib import Path

__all__ = ["resident_kib"]


def resident_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise OSError("/proc/self/status has no line VmRSS: resident memory can only be measured on Linux")
