"""``keygen``: an RSA key pair."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..exceptions import ConfigurationError
from ..keys import PrivateKey
from .output import console, note, print_json
from .prompts import ask_secret

__all__ = ["keygen"]

_SLOW_BITS = 4096  # up to here it is a matter of seconds


def keygen(
    file: Annotated[
        Path, typer.Argument(help="The file for the private key; the public key is written beside it as .pub.")
    ],
    bits: Annotated[int, typer.Option(metavar="<bits>", help="Length of the modulus.")] = 2048,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Ask for a password and encrypt the private key.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make an RSA key pair.

    The private key is written with mode 0600; keep it secret. Give the public key to the exchange.

    Make one key pair for each exchange. An exchange can relay a challenge of another exchange to a client that uses
    the same key at both, and so open a session there as that client.

    Example: [bold]cryptoproto keygen alice.pem[/] writes alice.pem and alice.pub
    """
    public_file = file.with_suffix(".pub")
    if public_file == file:
        raise ConfigurationError(
            f"{file}: .pub is for public keys; choose another name for the private key, such as {file.stem}.pem"
        )
    for path in (file, public_file):
        if path.exists() and not force:
            raise ConfigurationError(f"{path} already exists and was not changed; choose another name, or use --force")
    password = ask_secret("Password", confirm=True) if encrypt else None
    if bits > _SLOW_BITS and not json:
        note(f"A key of {bits} bits can take minutes to make.")
    with _ctrl_c_ends_at_once():
        key = PrivateKey.generate(bits)
    key.save(file, password=password, overwrite=force)
    key.public_key.save(public_file, overwrite=force)
    if json:
        print_json({"private_key": str(file), "public_key": str(public_file), "fingerprint": key.fingerprint})
        return
    console.print(f"private key  [bold]{file}[/]  (keep it secret)", soft_wrap=True)
    console.print(
        f"public key   [bold]{public_file}[/]  (give it to one exchange; make another pair for another exchange)",
        soft_wrap=True,
    )
    console.print(f"fingerprint  {key.fingerprint}", soft_wrap=True)


@contextmanager
def _ctrl_c_ends_at_once() -> Iterator[None]:
    """Leave SIGINT to the system: OpenSSL does not return to Python, which would handle it, before the key is made."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
