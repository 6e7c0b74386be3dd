"""The conformance suite of the protocol: scripts that are run against any client or exchange.

A script is a text file. The runner plays one end of the connection and checks what the other end, the peer under test,
does. ``docs/conformance.md`` describes the format and how a peer takes part.
"""

from __future__ import annotations

from .control import Control, NoControl, StreamControl, run_command, standard_input
from .driver import ClientDriver
from .driver_program import drive
from .library import SCRIPTS, load_scripts
from .parsing import parse_script
from .peers import Arrivals, ClientUnderTest, ExchangeUnderTest
from .report import as_dict, html_page, totals
from .runner import Outcome, Result, run_script
from .script import Script, Step
from .suite import run_scripts

__all__ = [
    "SCRIPTS",
    "Arrivals",
    "ClientDriver",
    "ClientUnderTest",
    "Control",
    "ExchangeUnderTest",
    "NoControl",
    "Outcome",
    "Result",
    "Script",
    "Step",
    "StreamControl",
    "as_dict",
    "drive",
    "html_page",
    "load_scripts",
    "parse_script",
    "run_command",
    "run_script",
    "run_scripts",
    "standard_input",
    "totals",
]
