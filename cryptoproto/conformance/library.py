"""Where scripts are read from: those of this package, or a folder of your own."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..exceptions import ConfigurationError
from .parsing import parse_script
from .script import Peer, Script

__all__ = ["SCRIPTS", "load_scripts"]

SCRIPTS: Final = Path(__file__).parent / "scripts"
"""The folder of the scripts that belong to this package."""

_ARTICLES: Final = {"client": "a", "exchange": "an"}
_LARGEST: Final = 2**18


def load_scripts(folder: Path = SCRIPTS, *, peer: Peer, only: Iterable[str] = ()) -> list[Script]:
    """The scripts for a client or for an exchange, in order of their names.

    Args:
        folder: where they are, one file each, ``.txt``, in subfolders by topic.
        peer: which end is under test.
        only: patterns of names, such as ``sequences/*``; all scripts if there is none.

    Raises:
        ConfigurationError: a script cannot be read or understood, or there is none.
    """
    scripts = []
    patterns = tuple(only)
    for path in sorted(folder.rglob("*.txt")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            if path.stat().st_size > _LARGEST:
                raise ConfigurationError(f"{path}: a script has at most {_LARGEST} bytes")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: cannot be read: {error}") from None
        script = parse_script(text, name=name, file=str(path))
        if script.peer == peer and (not patterns or any(fnmatch.fnmatchcase(name, each) for each in patterns)):
            scripts.append(script)
    if not scripts:
        wanted = f" that matches {' or '.join(patterns)}" if patterns else ""
        raise ConfigurationError(f"{folder}: there is no script for {_ARTICLES[peer]} {peer}{wanted}")
    return scripts
