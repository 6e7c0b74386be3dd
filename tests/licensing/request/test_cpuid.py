"""CPU registers from the files of the kernel."""

from __future__ import annotations

import struct
from pathlib import Path

from cryptoproto.licensing.request.cpuid import LEAVES, cpu_description, read_cpuid

CPUINFO = """\
processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 151
model name\t: 12th Gen Intel(R) Core(TM) i9-12900K
stepping\t: 2
clflush size\t: 64
flags\t\t: fpu sse sse2 pni avx hypervisor avx2 sha_ni vaes syscall nx lm lahf_lm

processor\t: 1
vendor_id\t: SomebodyElse
"""


def test_registers_from_cpuinfo(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(CPUINFO, encoding="utf-8")
    assert read_cpuid(tmp_path) == (
        (0x1, 0x90672, 8 << 8, 1 | 1 << 28 | 1 << 31, 1 | 1 << 25 | 1 << 26),
        (0x7, 0, 1 << 5 | 1 << 29, 1 << 9, 0),
        (0x8000_0001, 0, 0, 1, 1 << 11 | 1 << 20 | 1 << 29),
    )
    assert cpu_description(tmp_path) == ("GenuineIntel", "12th Gen Intel(R) Core(TM) i9-12900K")


def test_an_extended_family_is_put_together_as_the_manuals_say(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("cpu family : 25\nmodel : 33\nstepping : 0\n", encoding="utf-8")
    assert read_cpuid(tmp_path)[0][1] == 0xA20F10  # AMD family 19h, model 21h: Zen 3


def test_registers_from_the_device_without_the_number_of_the_core(tmp_path: Path) -> None:
    path = tmp_path / "dev/cpu/0/cpuid"
    path.parent.mkdir(parents=True)
    leaves = {LEAVES[2]: (1, 2, 3, 4), LEAVES[1]: (5, 0xFF345678, 7, 8), LEAVES[0]: (9, 0xFF345678, 11, 12)}
    content = {leaf: struct.pack("<4I", *registers) for leaf, registers in leaves.items()}
    with path.open("wb") as file:  # sparse: the position in the device's file is the leaf
        file.seek(LEAVES[2])
        file.write(content[LEAVES[2]])
        file.seek(LEAVES[1])
        file.write(content[LEAVES[1]])
        file.seek(LEAVES[0])
        file.write(content[LEAVES[0]][:6])  # the next leaf's bytes begin six bytes on
    first, second, third = read_cpuid(tmp_path)
    assert third == (LEAVES[2], 1, 2, 3, 4)
    assert second == (LEAVES[1], 5, 0xFF345678, 7, 8)
    assert first[:2] == (LEAVES[0], 9)
    assert first[2] & 0xFF00_0000 == 0


def test_where_the_kernel_says_nothing_all_registers_are_zero(tmp_path: Path) -> None:
    assert read_cpuid(tmp_path) == tuple((leaf, 0, 0, 0, 0) for leaf in LEAVES)
    assert cpu_description(tmp_path) == (None, None)
