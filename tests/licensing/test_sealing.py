"""Boxes, signatures and tokens: interoperable with libsodium alone, and nothing forged gets through."""

from __future__ import annotations

import base64

import flatbuffers
import pytest
from nacl.public import Box, PrivateKey, PublicKey
from nacl.signing import SigningKey, VerifyKey

from cryptoproto.licensing import (
    InvalidToken,
    KeyPair,
    Keyring,
    LicenseManager,
    LicenseRequest,
    LicenseToken,
    LicensingError,
    MalformedMessage,
    ManagerKey,
    SealBroken,
    TokenBinding,
    config_hash,
)
from cryptoproto.licensing.fbs import LicenseToken as RawToken
from cryptoproto.licensing.fbs import SignedToken as RawSignedToken
from cryptoproto.licensing.request.codec import encode
from cryptoproto.licensing.request.layout import SIGNED_TOKEN
from cryptoproto.licensing.sealing.sealing import Channel, open_token, seal_request, sign_token
from tests.licensing.samples import full_request
from tests.licensing.simulated_time import SECOND, START_NS

DOMAIN = b"cryptoproto/license-token/1\x00"
HASH = config_hash("roq-deribit", ["A1", "A2"])


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text)


def secret_of(pair: KeyPair) -> PrivateKey:
    return PrivateKey(raw(pair.to_fields()["secret_key"]))


def token_for(gateway: KeyPair, *, life_s: int = 7200) -> LicenseToken:
    binding = TokenBinding(gateway.public_key, "roq-deribit", HASH)
    return LicenseToken.issue(binding, now_ns=START_NS, expires_ns=START_NS + life_s * SECOND, request_nonce=None)


def test_raw_libsodium_seals_a_request_that_our_manager_answers(keyring: Keyring, manager: LicenseManager) -> None:
    """The gateway's side with PyNaCl and the FlatBuffers runtime alone."""
    own = PrivateKey.generate()
    public = base64.urlsafe_b64encode(bytes(own.public_key)).decode()
    manager.administration.add_agreement(public, "roq-*", licenses=1, uat=True)
    pinned = keyring.active(START_NS)[0].public
    message = LicenseRequest(full_request()).encode()

    box = Box(own, PublicKey(raw(pinned.box_key)))
    reply = manager.handle(bytes(own.public_key) + bytes(box.encrypt(message)))

    assert reply.status == 200
    signed = RawSignedToken.SignedToken.GetRootAs(box.decrypt(reply.body), 0)
    token = bytes(signed.Token(index) for index in range(signed.TokenLength()))
    signature = bytes(signed.Signature(index) for index in range(signed.SignatureLength()))
    VerifyKey(raw(pinned.verify_key)).verify(DOMAIN + token, signature)
    opened = RawToken.LicenseToken.GetRootAs(token, 0)
    assert opened.PackageName() == b"roq-deribit"
    assert opened.ExpiresAtUtc() == START_NS + 7200 * SECOND
    assert bytes(opened.RequestNonce(index) for index in range(16)) == full_request()["nonce"]


def test_our_agent_opens_a_token_of_raw_libsodium(gateway: KeyPair) -> None:
    """The manager's side with PyNaCl and the FlatBuffers runtime alone."""
    box_key, signing_key = PrivateKey.generate(), SigningKey.generate()
    token = token_for(gateway).encode()
    builder = flatbuffers.Builder(0)
    token_at = builder.CreateByteVector(token)
    signature_at = builder.CreateByteVector(signing_key.sign(DOMAIN + token).signature)
    RawSignedToken.Start(builder)
    RawSignedToken.AddSignature(builder, signature_at)
    RawSignedToken.AddToken(builder, token_at)
    builder.Finish(RawSignedToken.End(builder), file_identifier=b"CPLS")
    sealed = Box(box_key, PublicKey(raw(gateway.public_key))).encrypt(bytes(builder.Output()))

    text = ".".join(
        base64.urlsafe_b64encode(bytes(key)).decode() for key in (box_key.public_key, signing_key.verify_key)
    )
    assert LicenseToken.decode(open_token(bytes(sealed), gateway, ManagerKey.parse(text))) == LicenseToken.decode(token)


def test_our_boxes_are_libsodiums_both_ways(gateway: KeyPair) -> None:
    other = KeyPair.generate()
    box = Box(secret_of(other), PublicKey(raw(gateway.public_key)))
    ours = Channel(gateway, other.public_key)
    assert ours.open(bytes(box.encrypt(b"from libsodium"))) == b"from libsodium"
    assert box.decrypt(ours.seal(b"from us")) == b"from us"
    assert ours.seal(b"") != ours.seal(b"")
    assert repr(ours) == "<Channel>"


def test_a_gateway_cannot_make_a_token_for_itself(gateway: KeyPair, keyring: Keyring) -> None:
    """Both ends of a pair share the box's key; the signature is what only the manager has."""
    generation = keyring.active(START_NS)[0]
    channel = Channel(gateway, generation.public.box_key)
    forged = channel.seal(sign_token(token_for(gateway).encode(), SigningKey.generate()))
    with pytest.raises(InvalidToken, match="not signed by the pinned manager"):
        open_token(forged, gateway, generation.public)
    real = channel.seal(sign_token(token_for(gateway).encode(), generation.signing_key))
    assert LicenseToken.decode(open_token(real, gateway, generation.public)).binding.config_hash == HASH


def test_a_request_reflected_as_a_reply_is_not_a_token(gateway: KeyPair, keyring: Keyring) -> None:
    key = keyring.active(START_NS)[0].public
    body = seal_request(LicenseRequest(full_request()).encode(), gateway, key)
    with pytest.raises(MalformedMessage):
        open_token(body[32:], gateway, key)


def test_a_signature_is_bound_to_its_purpose(gateway: KeyPair, keyring: Keyring) -> None:
    generation = keyring.active(START_NS)[0]
    token = token_for(gateway).encode()
    bare = encode(SIGNED_TOKEN, {"token": token, "signature": generation.signing_key.sign(token).signature})
    box = Channel(gateway, generation.public.box_key).seal(bare)
    with pytest.raises(InvalidToken):
        open_token(box, gateway, generation.public)


def test_boxes_for_or_from_others_do_not_open(gateway: KeyPair, keyring: Keyring) -> None:
    generation = keyring.active(START_NS)[0]
    other = KeyPair.generate()
    box = Channel(generation.box_keys, other.public_key).seal(
        sign_token(token_for(other).encode(), generation.signing_key)
    )
    for broken in (box, b"", box[:39], box[:-1], box[:-1] + bytes([box[-1] ^ 1])):
        with pytest.raises(SealBroken):
            open_token(broken, gateway, generation.public)


@pytest.mark.parametrize(
    ("change", "now_s", "complaint"),
    [
        ({"public_key": KeyPair.generate().public_key}, 0, "another public key"),
        ({"package": "roq-bybit"}, 0, "is for package 'roq-deribit'"),
        ({"config_hash": config_hash("roq-deribit", ["A1"])}, 0, "another set of logins"),
        ({"is_uat": True}, 0, "other environment"),
        ({}, 7200, "the token ended at"),
        ({}, -301, "set the clock"),
    ],
)
def test_a_token_is_for_one_gateway_and_time(
    gateway: KeyPair, change: dict[str, object], now_s: int, complaint: str
) -> None:
    token = token_for(gateway)
    good = {"public_key": gateway.public_key, "package": "roq-deribit", "config_hash": HASH}
    token.check_usable(TokenBinding(**good), START_NS + 7200 * SECOND - 1)  # type: ignore[arg-type]
    token.check_usable(TokenBinding(**good), START_NS - 300 * SECOND)  # type: ignore[arg-type]
    with pytest.raises(InvalidToken, match=complaint):
        token.check_usable(TokenBinding(**(good | change)), START_NS + now_s * SECOND)  # type: ignore[arg-type]


@pytest.mark.parametrize("life_s", [0, -1, 11 * 366 * 86_400])
def test_a_token_with_an_impossible_life_is_refused(gateway: KeyPair, life_s: int) -> None:
    with pytest.raises(MalformedMessage, match="not a time"):
        LicenseToken.decode(token_for(gateway, life_s=life_s).encode())


def test_times_are_told_in_utc(gateway: KeyPair) -> None:
    token = token_for(gateway)
    assert token.expires_at.isoformat() == "2026-09-21T16:13:20+00:00"
    assert (token.expires_at - token.issued_at).total_seconds() == 7200


def test_all_errors_are_of_one_branch() -> None:
    assert issubclass(MalformedMessage, LicensingError)
    assert issubclass(InvalidToken, LicensingError)
    assert issubclass(SealBroken, LicensingError)
