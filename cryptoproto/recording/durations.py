"""Durations as people write them: ``90s``, ``5m``, ``1h30m``."""

from __future__ import annotations

import re
from typing import Final

from ..exceptions import ConfigurationError

__all__ = ["seconds_of"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"(?:\d+[smhd])+")
_LONGEST: Final = 10**9


def seconds_of(text: str, name: str) -> int:
    """The seconds of a duration: numbers with the units ``s``, ``m``, ``h`` and ``d``, largest first or not.

    Raises:
        ConfigurationError: it is not a duration, or not longer than zero; *name* names it.
    """
    seconds = 0
    if isinstance(text, str) and _DURATION.fullmatch(text):
        seconds = sum(int(part[:-1]) * _UNITS[part[-1]] for part in re.findall(r"\d+[smhd]", text))
    if not 0 < seconds <= _LONGEST:
        raise ConfigurationError(f'{name}={text!r} is not a duration; write it like "90s", "5m", "1h30m" or "1d"')
    return seconds
