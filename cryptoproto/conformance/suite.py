"""Many scripts against one peer, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from ..wire import Protocol
from .peers import ClientUnderTest, ExchangeUnderTest
from .runner import Result, run_script
from .script import Script

__all__ = ["run_scripts"]

_FRESH_NUMBERS: Final = 100
"""What one run may use: ``@1`` to ``@99``."""


async def run_scripts(
    scripts: Iterable[Script],
    peer: ClientUnderTest | ExchangeUnderTest,
    *,
    protocols: Sequence[Protocol] = tuple(Protocol),
    timeout: float = 5.0,
    first_fresh: int = 0,
) -> AsyncIterator[Result]:
    """Run each script in each form of the protocol that it and *protocols* name, and yield the results.

    Args:
        scripts: what to run.
        peer: the peer under test.
        protocols: the forms that the peer speaks.
        timeout: seconds to wait for each thing that a script expects.
        first_fresh: client order ids above this number were not used by the clients of *peer* before.

    Raises:
        ConfigurationError: the control program of *peer* has ended.
    """
    for script in scripts:
        for protocol in script.protocols:
            if protocol in protocols:
                yield await run_script(script, protocol, peer, timeout=timeout, first_fresh=first_fresh)
                first_fresh += _FRESH_NUMBERS
