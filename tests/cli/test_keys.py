"""``keygen``: the files it writes and the mistakes it refuses."""

from __future__ import annotations

import concurrent.futures
import signal
import stat

import pytest

import cryptoproto as cp
from tests.support.command_line import Shell


def test_a_key_pair_is_written_and_never_overwritten(shell: Shell) -> None:
    result = shell("keygen", "bob.pem", "--json")
    assert result.code == 0, result.err
    (shown,) = result.lines
    key = cp.PrivateKey.load(shell.folder / shown["private_key"])
    assert cp.PublicKey.load(shell.folder / shown["public_key"]) == key.public_key
    assert shown["fingerprint"] == key.fingerprint
    assert stat.S_IMODE((shell.folder / "bob.pem").stat().st_mode) == 0o600

    again = shell("keygen", "bob.pem")
    assert again.code == 2
    assert "bob.pem already exists and was not changed" in again.err
    assert "Traceback" not in again.err
    assert cp.PrivateKey.load(shell.folder / "bob.pem").fingerprint == key.fingerprint

    forced = shell("keygen", "bob.pem", "--force")
    assert forced.code == 0, forced.err
    renewed = cp.PrivateKey.load(shell.folder / "bob.pem")
    assert renewed.fingerprint in forced.out
    assert renewed.fingerprint != key.fingerprint


def test_the_private_key_can_be_encrypted(shell: Shell) -> None:
    made = shell("keygen", "bob.pem", "--encrypt", stdin="secret\nsecret\n")
    assert made.code == 0, made.err
    assert "ENCRYPTED" in (shell.folder / "bob.pem").read_text()
    assert "secret\n" not in made.out + made.err
    assert cp.PrivateKey.load(shell.folder / "bob.pem", "secret").fingerprint in made.out


def test_the_name_of_a_public_key_is_refused(shell: Shell) -> None:
    result = shell("keygen", "alice.pub")
    assert result.code == 2
    assert "choose another name for the private key" in " ".join(result.err.split())


def test_a_long_key_takes_time_and_ctrl_c_ends_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = []
    ready = cp.PrivateKey.load(shell.folder / "alice.pem")

    def generate(bits: int) -> cp.PrivateKey:
        handlers.append(signal.getsignal(signal.SIGINT))
        return ready

    monkeypatch.setattr(cp.PrivateKey, "generate", generate)
    before = signal.getsignal(signal.SIGINT)
    assert "8192 bits can take minutes" in shell("keygen", "long.pem", "--bits", "8192").err
    assert shell("keygen", "long2.pem", "--bits", "8192", "--json").err == ""
    assert signal.getsignal(signal.SIGINT) is before
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(shell, "keygen", "short.pem").result().code == 0
    assert handlers == [signal.SIG_DFL, signal.SIG_DFL, before]
