"""Coverage-guided inputs by atheris, in a process of their own: libFuzzer ends its process.

Started by ``python -m tests.fuzz``, with the name of the target and the options of libFuzzer.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Final

from tests.fuzz.corpus import stored
from tests.fuzz.explore import Explored, FindingError, explore
from tests.fuzz.registry import room_of, targets_of
from tests.fuzz.target import Target

__all__ = ["guide", "is_available", "version"]

_ROOT: Final = Path(__file__).parents[2]
_EXECUTED: Final = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_LONGEST_S: Final = 20
_MEMORY_MB: Final = 2048


def version() -> str | None:
    """The version of atheris; ``None`` if it is not installed."""
    try:
        return installed("atheris")
    except PackageNotFoundError:
        return None


def is_available() -> bool:
    """Whether atheris is installed."""
    return version() is not None


def guide(
    target: Target, start: Sequence[bytes], corpus: Path, *, seed: int, inputs: int | None, seconds: float
) -> Explored:
    """Run atheris; what it finds to reach new code is added to the folder *corpus*.

    Raises:
        FindingError: an input breaks a promise of the target.
    """
    corpus.mkdir(parents=True, exist_ok=True)
    for data in start:
        stored(corpus, data)
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder) / "words"
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words or (b"\0",)))
        command = [
            *(sys.executable, "-m", "tests.fuzz.guided", room_of(target.name), target.name, str(corpus)),
            *(f"-seed={seed + 1}", f"-max_len={target.longest}", f"-dict={words}", f"-artifact_prefix={folder}/"),
            *(f"-timeout={_LONGEST_S}", f"-rss_limit_mb={_MEMORY_MB}", "-print_final_stats=1", "-verbosity=0"),
        ]
        if inputs is not None:
            command.append(f"-runs={inputs}")
        if seconds != float("inf"):
            command.append(f"-max_total_time={max(1, round(seconds))}")
        begun = time.perf_counter()
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, errors="replace")
        took = time.perf_counter() - begun
        for artifact in sorted(Path(folder).glob("*-*")):
            data = artifact.read_bytes()
            if artifact.name.startswith("crash-"):
                explore(target, [data], seed=0, inputs=1)
            raise FindingError(target, data) from RuntimeError(_last(done.stdout + done.stderr))
    executed = _EXECUTED.search(done.stderr)
    if done.returncode or executed is None:
        raise RuntimeError(f"atheris failed: {_last(done.stdout + done.stderr)}")
    return Explored(int(executed[1]), 0, took)


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _last(text: str) -> str:
    return "\n".join(text.splitlines()[-30:])


def _child(room: str, name: str, options: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["cryptoproto"]):
        target = targets_of(room)[name]

    def one(data: bytes) -> None:
        target.run(data)

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    os.chdir(_ROOT)
    _child(sys.argv[1], sys.argv[2], sys.argv[3:])
