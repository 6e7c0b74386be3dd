"""The cached token: its file, whom it is for, and which token is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cryptoproto.licensing import KeyPair, Keyring, LicenseToken, TokenBinding, TokenCacheError
from cryptoproto.licensing.agent.token_cache import TokenCache
from cryptoproto.licensing.sealing.sealing import Channel, sign_token
from tests.support.licensing.samples import HASH, token_for
from tests.support.licensing.simulated_time import SECOND, START_NS


def sealed(token: LicenseToken, gateway: KeyPair, keyring: Keyring) -> bytes:
    generation = keyring.active(START_NS)[0]
    return Channel(generation.box_keys, gateway.public_key).seal(sign_token(token.encode(), generation.signing_key))


@pytest.fixture
def cache(gateway: KeyPair, keyring: Keyring, tmp_path: Path) -> TokenCache:
    binding = TokenBinding(gateway.public_key, "roq-deribit", HASH)
    return TokenCache(tmp_path / "cache", binding, gateway, [each.public for each in keyring.active(START_NS)])


def test_an_empty_cache(cache: TokenCache) -> None:
    assert cache.read() is None


def test_a_token_survives_its_file(cache: TokenCache, gateway: KeyPair, keyring: Keyring) -> None:
    token = token_for(gateway)
    assert cache.store(sealed(token, gateway, keyring), token, START_NS) == token
    assert cache.read() == token
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.path.parent.stat().st_mode) == 0o700


def test_a_token_that_lasts_longer_is_kept(cache: TokenCache, gateway: KeyPair, keyring: Keyring) -> None:
    long, short = token_for(gateway, life_s=86_400), token_for(gateway, life_s=7200)
    cache.write(sealed(long, gateway, keyring))
    box = sealed(short, gateway, keyring)
    assert cache.store(box, short, START_NS) == long
    assert cache.read() == long
    cache.write(box)  # if asked for
    assert cache.read() == short


def test_a_token_that_lasts_longer_is_replaced_if_it_cannot_be_used(
    cache: TokenCache, gateway: KeyPair, keyring: Keyring
) -> None:
    other = LicenseToken.issue(
        TokenBinding(gateway.public_key, "another", HASH),
        now_ns=START_NS,
        expires_ns=START_NS + 86_400 * SECOND,
        request_nonce=None,
    )
    token = token_for(gateway)
    for content in (sealed(other, gateway, keyring), b"rubbish", b""):
        cache.write(content)
        assert cache.store(sealed(token, gateway, keyring), token, START_NS) == token
        assert cache.read() == token


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_can_access_is_refused(
    cache: TokenCache, gateway: KeyPair, keyring: Keyring, mode: int
) -> None:
    cache.write(sealed(token_for(gateway), gateway, keyring))
    cache.path.chmod(mode)
    with pytest.raises(TokenCacheError, match=f"mode {mode:04o} gives other users access .*chmod 600 {cache.path}"):
        cache.read()


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"", "too short"), (bytes(400), "does not open"), (bytes(5000), "more than 4096 bytes")]
)
def test_a_file_of_something_else(cache: TokenCache, content: bytes, complaint: str) -> None:
    cache.write(content)
    with pytest.raises(TokenCacheError, match=f"{cache.path}.*{complaint}"):
        cache.read()


def test_a_token_signed_with_any_of_the_pinned_keys(gateway: KeyPair, keyring: Keyring, tmp_path: Path) -> None:
    token = token_for(gateway)
    newer = keyring.rotated(START_NS, 600)
    cache = TokenCache(tmp_path, token.binding, gateway, [each.public for each in newer.active(START_NS)])
    cache.write(sealed(token, gateway, keyring))
    assert cache.read() == token


def test_a_folder_that_cannot_be_created(gateway: KeyPair, keyring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    token = token_for(gateway)
    cache = TokenCache(tmp_path / "file" / "cache", token.binding, gateway, [keyring.active(START_NS)[0].public])
    with pytest.raises(TokenCacheError, match="the folder cannot be created: Not a directory"):
        cache.write(b"box")
