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
    MalformedMessage,
    ManagerKey,
    SealBroken,
)
from cryptoproto.licensing._fbs import LicenseToken as RawToken
from cryptoproto.licensing._fbs import SignedToken as RawSignedToken
from cryptoproto.licensing.request.codec import decode, encode
from cryptoproto.licensing.request.layout import SIGNED_TOKEN
from cryptoproto.licensing.sealing.sealing import Channel, open_token, seal_request, sign_token
from tests.support.licensing.mutations import mutations, survey
from tests.support.licensing.samples import HASH, full_request, token_for
from tests.support.licensing.simulated_time import SECOND, START_NS

DOMAIN = b"cryptoproto/license-token/1\x00"


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text)


def secret_of(pair: KeyPair) -> PrivateKey:
    return PrivateKey(raw(pair.to_fields()["secret_key"]))


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


def test_23_000_mutated_signed_tokens_before_their_box(token_message: bytes, keyring: Keyring) -> None:
    signed = sign_token(token_message, keyring.active(START_NS)[0].signing_key)
    good, refused = survey(mutations(signed, 23_000, seed=3), lambda data: decode(SIGNED_TOKEN, data), MalformedMessage)
    assert good + refused == 23_000


def test_2_000_mutated_signed_tokens_inside_good_boxes(
    token_message: bytes, gateway: KeyPair, keyring: Keyring
) -> None:
    """What a peer who has the box's key can try: no change of the token survives its signature."""
    generation = keyring.active(START_NS)[0]
    channel = Channel(gateway, generation.public.box_key)
    signed = sign_token(token_message, generation.signing_key)

    def read(mutant: bytes) -> None:
        if open_token(channel.seal(mutant), gateway, generation.public) != token_message:
            raise RuntimeError("a changed token was accepted")

    good, refused = survey(mutations(signed, 2_000, seed=4), read, MalformedMessage, InvalidToken)
    assert good + refused == 2_000
    assert refused > 1_000


def test_110_000_mutated_boxes(request_message: bytes, gateway: KeyPair, keyring: Keyring) -> None:
    generation = keyring.active(START_NS)[0]
    box = Channel(gateway, generation.public.box_key).seal(request_message)
    channel = Channel(generation.box_keys, gateway.public_key)
    assert channel.open(box) == request_message
    assert survey(mutations(box, 110_000, seed=5), channel.open, SealBroken) == (0, 110_000)


def test_a_channel_shows_nothing(gateway: KeyPair) -> None:
    assert repr(Channel(gateway, KeyPair.generate().public_key)) == "<Channel>"
