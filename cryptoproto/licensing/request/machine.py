"""Facts about the machine and the process, by their names in the request. No program is executed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ...extras import needs
from .codec import Value
from .cpuid import cpu_description, read_cpuid

with needs("cryptoproto.licensing", "licensing"):
    import psutil

__all__ = ["fixed_facts", "moving_facts", "printable"]

_SECOND: Final = 1_000_000_000


def fixed_facts() -> dict[str, Value]:
    """Facts that do not change during the process. Reads files in ``/proc``, ``/sys`` and ``/etc``."""
    system = os.uname()
    vendor, brand = cpu_description()
    facts: dict[str, Value] = {
        "process_start_time_utc": _asked(lambda: int(psutil.Process().create_time() * _SECOND)),
        "hostname": socket.gethostname(),
        # The network name from uname(2). A name server is not asked: it takes time, and it would learn of the request.
        "network_hostname": system.nodename,
        "machine_id": _line("/etc/machine-id"),
        "machine": system.machine,
        "cpuid": read_cpuid(),
        "cpu_vendor": vendor,
        "cpu_brand": brand,
        "number_of_processors": os.cpu_count() or 0,
        "cache_line_size": _cache_line_size(),
        "page_size": os.sysconf("SC_PAGE_SIZE"),
        "kernel_name": system.sysname,
        "kernel_release": system.release,
        "kernel_version": system.version,
        "process_id": os.getpid(),
    }
    return {name: printable(value) if isinstance(value, str) else value for name, value in facts.items()}


def moving_facts(time_utc_ns: int) -> dict[str, Value]:
    """Facts that change; *time_utc_ns* is now. A fact that a sandbox hides is ``None``."""
    process = psutil.Process()
    return {
        "system_uptime": _asked(lambda: max(time_utc_ns - int(psutil.boot_time() * _SECOND), 0)),
        "system_total_memory": _asked(lambda: psutil.virtual_memory().total),
        "system_available_memory": _asked(lambda: psutil.virtual_memory().available),
        "system_total_swap": _asked(lambda: psutil.swap_memory().total),
        "system_available_swap": _asked(lambda: psutil.swap_memory().free),
        "process_max_rss": _max_rss(),
        "cpu_affinity": _asked(lambda: tuple(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else None),
    }


def printable(text: str, most: int = 256) -> str:
    """The text as the manager accepts it: valid UTF-8 without control characters, at most *most* bytes."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def _asked(question: Callable[[], Value]) -> Value:
    try:
        return question()
    except (OSError, psutil.Error):
        return None


def _line(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _cache_line_size() -> int:
    line = _line("/sys/devices/system/cpu/cpu0/cache/index0/coherency_line_size")
    if line is not None and line.isascii() and line.isdigit():
        return int(line)
    name = "SC_LEVEL1_DCACHE_LINESIZE"
    return max(os.sysconf(name), 0) if name in os.sysconf_names else 0


def _max_rss() -> int:
    import resource  # POSIX only, like the rest of this module
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
