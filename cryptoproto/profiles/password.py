"""The password of an encrypted key: from the environment, or printed by a command."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ..exceptions import ConfigurationError

__all__ = ["Password", "find_password"]

TIMEOUT_S: Final = 60.0
"""How long a command may take: long enough to answer the dialog of a password manager."""

_LONGEST: Final = 4096


class Password(msgspec.Struct, frozen=True):
    """A password and where it is from. Its ``repr()`` does not show it."""

    value: str
    source: str

    def __repr__(self) -> str:
        return f"<Password from {self.source}>"


def find_password(
    command: Sequence[str] | None,
    where: str,
    *,
    environment: Mapping[str, str] = os.environ,
    timeout: float = TIMEOUT_S,
) -> Password | None:
    """The password that ``CRYPTOPROTO_PASSWORD`` holds, else what a command prints on its first line, else None.

    Args:
        command: ``password_command`` of the profile; ``CRYPTOPROTO_PASSWORD_COMMAND`` comes before it.
        where: where the profile is, for errors.
        environment: the environment variables.
        timeout: seconds that the command may take.

    Raises:
        ConfigurationError: the command failed. The error shows no part of its arguments and output.
    """
    if environment.get("CRYPTOPROTO_PASSWORD"):
        return Password(environment["CRYPTOPROTO_PASSWORD"], "CRYPTOPROTO_PASSWORD")
    source = f"password_command in {where}"
    line = environment.get("CRYPTOPROTO_PASSWORD_COMMAND")
    if line:
        source = "CRYPTOPROTO_PASSWORD_COMMAND"
        try:
            command = shlex.split(line)
        except ValueError as error:
            raise ConfigurationError(f"{source} is not a command: {error}") from None
    return Password(_printed(command, source, timeout), source) if command else None


def _printed(command: Sequence[str], source: str, timeout: float) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, without a shell
            command,
            stdin=subprocess.DEVNULL,  # a command that asks on standard input fails at once
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # might repeat the password
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        problem = f"did not end within {timeout:g} s"
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
        problem = f"cannot be run: {getattr(error, 'strerror', None) or 'it contains a NUL character'}"
    else:
        first = done.stdout.partition(b"\n")[0].rstrip(b"\r")
        if done.returncode:
            problem = f"ended with exit code {done.returncode}"
        elif not first:
            problem = "printed nothing on its first line"
        elif len(first) > _LONGEST:
            problem = f"printed more than {_LONGEST} bytes on its first line"
        else:
            try:
                return first.decode()
            except UnicodeDecodeError:
                problem = "printed text that is not UTF-8"
    raise ConfigurationError(f"{source}: {command[0]!r} {problem}; run the command by hand to see why") from None
