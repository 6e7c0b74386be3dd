"""RSA keys: load, generate, save, sign, verify, encrypt, decrypt.

The only module that passes RSA work to the ``cryptography`` package; it takes and returns bytes. Neither ``repr()`` nor
an exception shows key material.

Use a separate key pair for each exchange. The handshake does not bind a proof to the exchange that asked for it, so
an exchange can pass a challenge of another exchange on to a client that uses the same key at both.
"""

from __future__ import annotations

import binascii
import contextlib
import hashlib
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .exceptions import ConfigurationError, InvalidKey, PasswordRequired
from .private_file import read_private, write_private, write_public

__all__ = ["PrivateKey", "PublicKey"]

MINIMUM_BITS: Final = 2048  # NIST SP 800-57: shorter RSA keys are no longer acceptable

_SIGNATURE_HASH: Final = hashes.SHA512()
_SIGNATURE_PADDING: Final = padding.PSS(mgf=padding.MGF1(_SIGNATURE_HASH), salt_length=padding.PSS.MAX_LENGTH)
# SHA-1 is what the protocol prescribes; OAEP does not rely on its collision resistance.
_ENCRYPTION_PADDING: Final = padding.OAEP(
    mgf=padding.MGF1(algorithm=hashes.SHA1()),  # noqa: S303
    algorithm=hashes.SHA1(),  # noqa: S303
    label=None,
)
# Gateways with API keys verify SHA256withRSA, which is RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2).
_PKCS1_HASH: Final = hashes.SHA256()
_PKCS1_PADDING: Final = padding.PKCS1v15()
_LONGEST_PEM: Final = 65_536
_OAEP_OVERHEAD: Final = 42  # two SHA-1 digests and two bytes (RFC 8017, section 7.1.1)


class PublicKey:
    """An RSA public key: verifies signatures and encrypts handshake payloads.

    Instances are immutable, compare by value and can be used as dict keys.
    """

    __slots__ = ("_key", "fingerprint")

    fingerprint: str
    """``SHA256:`` and the hex digest of the DER SubjectPublicKeyInfo; safe to show and to compare by eye."""

    def __init__(self, key: rsa.RSAPublicKey) -> None:
        self._key = key
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.fingerprint = f"SHA256:{hashlib.sha256(der).hexdigest()}"

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PublicKey:
        """Read a PEM public key from a file.

        Raises:
            ConfigurationError: the file is missing, unreadable or holds no RSA public key.
        """
        name = os.fspath(path)
        try:
            pem = Path(path).read_bytes()
        except FileNotFoundError:
            raise _missing(path, "public key") from None
        except OSError as error:
            raise ConfigurationError(f"{name}: the public key cannot be read: {error.strerror}") from error
        return cls._from_pem(pem, name)

    @classmethod
    def from_pem(cls, pem: bytes) -> PublicKey:
        """Read a PEM public key (``BEGIN PUBLIC KEY`` or ``BEGIN RSA PUBLIC KEY``) from bytes.

        Raises:
            ConfigurationError: the bytes hold no RSA public key.
        """
        return cls._from_pem(pem, "the given bytes")

    @classmethod
    def _from_pem(cls, pem: bytes, source: str) -> PublicKey:
        if b"PRIVATE KEY-----" in pem:
            raise ConfigurationError(
                f"{source}: this is a private key, but a public key is expected; keep it secret and pass the "
                f"matching .pub file instead (`cryptoproto keygen` writes both)"
            )
        try:
            key = serialization.load_pem_public_key(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ConfigurationError(f"{source}: not a PEM public key (expected -----BEGIN PUBLIC KEY-----)") from None
        if not isinstance(key, rsa.RSAPublicKey):
            raise ConfigurationError(f"{source}: the protocol needs an RSA key, but this is another kind of key")
        return cls(_of_usable_size(key, source))

    @classmethod
    def from_der(cls, der: bytes | str, *, minimum_bits: int = MINIMUM_BITS) -> PublicKey:
        """Read a DER SubjectPublicKeyInfo, as bytes or as base64 text without PEM armour.

        Args:
            der: the key.
            minimum_bits: the shortest modulus to accept. Pass less than 2048 only if an older peer requires it, such
                as a gateway with API keys; keys for trading are never shorter.

        Raises:
            ConfigurationError: it holds no RSA public key, or one that is too short.
        """
        source = "the given public key"
        data = _der_bytes(der, source)
        try:
            key = serialization.load_der_public_key(data)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ConfigurationError(
                f"{source}: not a DER public key (expected SubjectPublicKeyInfo, base64 as text or raw as bytes)"
            ) from None
        if not isinstance(key, rsa.RSAPublicKey):
            raise ConfigurationError(f"{source}: the protocol needs an RSA key, but this is another kind of key")
        return cls(_of_usable_size(key, source, minimum_bits))

    def to_der(self) -> bytes:
        """The key as DER SubjectPublicKeyInfo."""
        return self._key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def to_pem(self) -> bytes:
        """The key as PEM SubjectPublicKeyInfo."""
        return self._key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the key as PEM with mode 0644.

        Raises:
            ConfigurationError: the file exists and *overwrite* is false, or it cannot be written.
        """
        write_public(path, self.to_pem(), what="public key", overwrite=overwrite)

    @property
    def bits(self) -> int:
        """The length of the modulus."""
        return self._key.key_size

    @property
    def max_plaintext(self) -> int:
        """The most bytes that :meth:`encrypt` accepts: 214 for RSA-2048."""
        return (self._key.key_size + 7) // 8 - _OAEP_OVERHEAD

    def encrypt(self, plaintext: bytes) -> bytes:
        """Encrypt with RSA-OAEP (SHA-1, MGF1-SHA-1, no label).

        Raises:
            ConfigurationError: *plaintext* is longer than :attr:`max_plaintext`.
        """
        if len(plaintext) > self.max_plaintext:
            raise ConfigurationError(
                f"{len(plaintext)} bytes are too long for RSA-{self.bits} with OAEP; at most {self.max_plaintext} fit"
            )
        return self._key.encrypt(plaintext, _ENCRYPTION_PADDING)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether *signature* is this key's RSA-PSS (SHA-512, maximum salt) signature of *data*."""
        try:
            self._key.verify(signature, data, _SIGNATURE_PADDING, _SIGNATURE_HASH)
        except InvalidSignature:
            return False
        return True

    def verify_pkcs1(self, signature: bytes, data: bytes) -> bool:
        """Whether *signature* is this key's RSASSA-PKCS1-v1_5 signature over SHA-256 ("SHA256withRSA") of *data*."""
        try:
            self._key.verify(signature, data, _PKCS1_PADDING, _PKCS1_HASH)
        except InvalidSignature:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PublicKey):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"<PublicKey RSA-{self.bits}>"


class PrivateKey:
    """An RSA private key: signs and decrypts. ``repr()`` shows no part of the key, and it cannot be pickled."""

    __slots__ = ("_key", "public_key")

    public_key: PublicKey

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self.public_key = PublicKey(key.public_key())

    @classmethod
    def generate(cls, bits: int = 2048) -> PrivateKey:
        """Generate a key with public exponent 65537.

        Raises:
            ConfigurationError: *bits* is below 2048 or above 16384.
        """
        if not MINIMUM_BITS <= bits <= 16384:
            raise ConfigurationError(f"an RSA key cannot have {bits} bits: choose from 2048 to 16384")
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=bits))

    @classmethod
    def load(cls, path: str | os.PathLike[str], password: str | bytes | None = None) -> PrivateKey:
        """Read a PEM private key from a file that only its owner can access.

        Raises:
            PasswordRequired: the key is encrypted and *password* is ``None``.
            ConfigurationError: the file is missing or unreadable, its mode gives the group or other users access, the
                password is wrong, or it holds no RSA private key.
        """
        try:
            pem = read_private(path, what="private key")
        except FileNotFoundError:
            raise _missing(path, "private key") from None
        except ConfigurationError:
            _refuse_public_file(path)  # its mode is usually 0644, and changing it would not help
            raise
        return cls._from_pem(pem, password, os.fspath(path))

    @classmethod
    def from_pem(cls, pem: bytes, password: str | bytes | None = None, *, trusted: bool = False) -> PrivateKey:
        """Read a PEM private key (PKCS#8 or ``BEGIN RSA PRIVATE KEY``, encrypted or not) from bytes.

        Args:
            pem: the key.
            password: the password that it is encrypted with.
            trusted: skip the check that the numbers of the key are consistent, which takes a tenth of a second. Only
                for bytes that this program wrote itself and whose integrity is verified.

        Raises:
            ConfigurationError: the password is missing or wrong, or the bytes hold no RSA private key.
        """
        return cls._from_pem(pem, password, "the given bytes", trusted=trusted)

    @classmethod
    def _from_pem(cls, pem: bytes, password: str | bytes | None, source: str, *, trusted: bool = False) -> PrivateKey:
        _refuse_public(pem, source)
        secret = password.encode() if isinstance(password, str) else password
        try:
            key = serialization.load_pem_private_key(pem, secret, unsafe_skip_rsa_key_validation=trusted)
        except TypeError:
            # The library raises TypeError both for a missing password and for a password on a plain key.
            if secret is None:
                raise PasswordRequired(f"{source}: the key is encrypted: pass password=") from None
            raise ConfigurationError(f"{source}: the key is not encrypted: do not pass a password") from None
        except (ValueError, UnsupportedAlgorithm):
            hint = "wrong password, or not a PEM private key" if secret is not None else "not a PEM private key"
            raise ConfigurationError(f"{source}: {hint} (expected -----BEGIN PRIVATE KEY-----)") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ConfigurationError(f"{source}: the protocol needs an RSA key, but this is another kind of key")
        _of_usable_size(key.public_key(), source)
        return cls(key)

    @classmethod
    def from_der(cls, der: bytes | str, *, minimum_bits: int = MINIMUM_BITS) -> PrivateKey:
        """Read a DER private key (PKCS#8, not encrypted), as bytes or as base64 text without PEM armour.

        Args:
            der: the key.
            minimum_bits: as for :meth:`PublicKey.from_der`.

        Raises:
            ConfigurationError: it holds no RSA private key, or one that is too short.
        """
        source = "the given private key"
        data = _der_bytes(der, source)
        try:
            key = serialization.load_der_private_key(data, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ConfigurationError(
                f"{source}: not a DER private key (expected PKCS#8 without a password, base64 as text or raw as bytes)"
            ) from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ConfigurationError(f"{source}: the protocol needs an RSA key, but this is another kind of key")
        _of_usable_size(key.public_key(), source, minimum_bits)
        return cls(key)

    def to_der(self) -> bytes:
        """The key as DER PKCS#8, not encrypted. Keep it out of logs and of files that others can read."""
        return self._key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def to_pem(self, password: str | bytes | None = None) -> bytes:
        """The key as PEM PKCS#8, encrypted if a *password* is given."""
        secret = password.encode() if isinstance(password, str) else password
        encryption: serialization.KeySerializationEncryption = (
            serialization.NoEncryption() if secret is None else serialization.BestAvailableEncryption(secret)
        )
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        password: str | bytes | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write the key as PEM PKCS#8 with mode 0600. The file is replaced atomically and synced to disk.

        Raises:
            ConfigurationError: the file exists and *overwrite* is false, or it cannot be written.
        """
        write_private(path, self.to_pem(password), what="private key", overwrite=overwrite)

    @property
    def bits(self) -> int:
        """The length of the modulus."""
        return self._key.key_size

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the public key."""
        return self.public_key.fingerprint

    def sign(self, data: bytes) -> bytes:
        """Sign with RSA-PSS (SHA-512, MGF1-SHA-512, maximum salt). Releases the interpreter lock while it runs."""
        return self._key.sign(data, _SIGNATURE_PADDING, _SIGNATURE_HASH)

    def sign_pkcs1(self, data: bytes) -> bytes:
        """Sign with RSASSA-PKCS1-v1_5 over SHA-256 ("SHA256withRSA"), for gateways with API keys."""
        return self._key.sign(data, _PKCS1_PADDING, _PKCS1_HASH)

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Decrypt a ciphertext of :meth:`PublicKey.encrypt` of the matching public key.

        Raises:
            InvalidKey: it was encrypted for another key, or it is damaged; the two look the same.
        """
        try:
            return self._key.decrypt(ciphertext, _ENCRYPTION_PADDING)
        except ValueError:
            raise InvalidKey("cannot be decrypted with this private key") from None

    def __reduce__(self) -> str:
        raise TypeError("a PrivateKey cannot be pickled; save() it, with a password if it is sent anywhere")

    def __repr__(self) -> str:
        return f"<PrivateKey RSA-{self.bits}>"


def _of_usable_size(key: rsa.RSAPublicKey, source: str, minimum_bits: int = MINIMUM_BITS) -> rsa.RSAPublicKey:
    if key.key_size < minimum_bits:
        raise ConfigurationError(
            f"{source}: RSA-{key.key_size} is too short; use {minimum_bits} bits or more (`cryptoproto keygen`)"
        )
    return key


def _der_bytes(der: bytes | str, source: str) -> bytes:
    if isinstance(der, bytes):
        return der
    try:
        # Base64 that went through a terminal or an e-mail often has line breaks.
        return binascii.a2b_base64("".join(der.split()), strict_mode=True)
    except ValueError:  # binascii.Error, or text that is not ASCII
        raise ConfigurationError(f"{source}: not base64 (for a key with PEM armour, use from_pem)") from None


def _refuse_public(pem: bytes, source: str) -> None:
    if b"-----BEGIN PUBLIC KEY" in pem or b"-----BEGIN RSA PUBLIC KEY" in pem:
        raise ConfigurationError(f"{source}: this is a public key, but a private key is expected")


def _refuse_public_file(path: str | os.PathLike[str]) -> None:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        _refuse_public(file.read(_LONGEST_PEM), os.fspath(path))


def _missing(path: str | os.PathLike[str], what: str) -> ConfigurationError:
    name = os.fspath(path)
    pair = Path(name).with_suffix(".pem") if Path(name).suffix == ".pub" else name
    return ConfigurationError(f"{name}: no such {what} file; make a key pair with: cryptoproto keygen {pair}")
