"""CPU identification registers as the Linux kernel shows them. No instruction is executed to read them.

There are two sources, and the first that exists is used: ``/dev/cpu/0/cpuid`` (exact; usually only for root), and
``/proc/cpuinfo``, whose family, model, stepping and feature flags are converted back to register bits. The kernel does
not list features that it has disabled, so the second source can have fewer bits. On other systems and processors all
registers are zero.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

from .codec import CpuidRegisters

__all__ = ["LEAVES", "cpu_description", "read_cpuid"]

LEAVES: Final = (0x1, 0x7, 0x8000_0001)
"""Signature and features, extended features, AMD's features."""

_APIC_ID: Final = 0xFF00_0000  # of leaf 1 ebx: the core that was asked, so it can differ from call to call
_NOTHING: Final = "-"  # a bit without a flag in /proc/cpuinfo

# Flags of /proc/cpuinfo by bit, from bit 0 up (Linux, arch/x86/include/asm/cpufeatures.h).
_LEAF_1_EDX: Final = (
    "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 "
    "ss ht tm ia64 pbe"
)
_LEAF_1_ECX: Final = (
    "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 "
    "x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor"
)
_LEAF_7_EBX: Final = (
    "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq rdseed adx "
    "smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl"
)
_LEAF_7_ECX: Final = (
    "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme "
    "avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - movdiri movdir64b enqcmd - -"
)
_LEAF_7_EDX: Final = (
    "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize - tsxldtrk - pconfig "
    "arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile amx_int8 - - flush_l1d arch_capabilities - -"
)
_AMD_EDX: Final = (
    "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"
)
_AMD_ECX: Final = (
    "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp "
    "fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx - -"
)


def read_cpuid(root: Path = Path("/")) -> tuple[CpuidRegisters, ...]:
    """The registers of :data:`LEAVES`; zero if the kernel does not show them. Tests pass another *root*."""
    try:
        return _from_device(root / "dev/cpu/0/cpuid")
    except (OSError, struct.error):
        return _from_cpuinfo(_first_processor(root))


def cpu_description(root: Path = Path("/")) -> tuple[str | None, str | None]:
    """Vendor and brand, such as ``GenuineIntel`` and the product name; ``None`` if the kernel does not say."""
    facts = _first_processor(root)
    return facts.get("vendor_id"), facts.get("model name")


def _from_device(path: Path) -> tuple[CpuidRegisters, ...]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        leaves = []
        for leaf in LEAVES:
            # The position in the file is the leaf (subleaf in the upper half); each read returns four registers.
            eax, ebx, ecx, edx = struct.unpack("<4I", os.pread(descriptor, 16, leaf))
            leaves.append((leaf, eax, ebx & ~_APIC_ID if leaf == 1 else ebx, ecx, edx))
        return tuple(leaves)
    finally:
        os.close(descriptor)


def _first_processor(root: Path) -> dict[str, str]:
    """The first paragraph of ``/proc/cpuinfo``."""
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n", 1)[0].splitlines())
    return {name.strip(): value.strip() for name, colon, value in lines if colon}


def _from_cpuinfo(facts: dict[str, str]) -> tuple[CpuidRegisters, ...]:
    flags = set(facts.get("flags", "").split())

    def bits(names: str) -> int:
        return sum(1 << bit for bit, name in enumerate(names.split()) if name != _NOTHING and name in flags)

    return (
        (LEAVES[0], _signature(facts), _clflush(facts), bits(_LEAF_1_ECX), bits(_LEAF_1_EDX)),
        (LEAVES[1], 0, bits(_LEAF_7_EBX), bits(_LEAF_7_ECX), bits(_LEAF_7_EDX)),
        (LEAVES[2], 0, 0, bits(_AMD_ECX), bits(_AMD_EDX)),
    )


def _signature(facts: dict[str, str]) -> int:
    """Leaf 1 eax, from the numbers that the kernel computed from it."""
    family, model, stepping = (_number(facts, name) for name in ("cpu family", "model", "stepping"))
    base = min(family, 15)
    return (stepping & 15) | (model & 15) << 4 | base << 8 | (model >> 4 & 15) << 16 | (family - base & 255) << 20


def _clflush(facts: dict[str, str]) -> int:
    """Leaf 1 ebx: the second byte is the line size of CLFLUSH in units of eight bytes."""
    return (_number(facts, "clflush size") // 8 & 255) << 8


def _number(facts: dict[str, str], name: str) -> int:
    text = facts.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0
