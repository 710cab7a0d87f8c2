"""Key agreement on P-256 and AES-128-GCM, for Web Push: with the libcrypto that `ssl` has loaded, with `cryptography` where that fails.

`AgreementKey.agree` is ECDH (the x coordinate, 32 octets), `seal` is AEAD_AES_128_GCM. Through libcrypto the
first push costs the server 0.2 MB, with `cryptography` 5.5 MB. OpenSSL's objects are freed with the call or the key; a point that is not on
the curve is refused where it is read (RFC 8291 §7). Raises MisuseError for what is no key or no point.
"""

import base64
from typing import Any

from appliance.mail.errors import MisuseError

from .crypto import libcrypto, private_key

POINT_OCTETS = 65
"""An uncompressed point."""
KEY_OCTETS = SHARED_OCTETS = 32
TAG_OCTETS = 16
_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""What stands before the point in a SubjectPublicKeyInfo (RFC 5480 §2)."""
_EC, _GET_TAG = 408, 0x10
"""EVP_PKEY_EC and EVP_CTRL_AEAD_GET_TAG."""


class AgreementKey:
    """A key pair; `pem` None: a new one. `point`: the public key."""

    def __init__(self, pem: bytes | None = None) -> None:
        self._library = libcrypto()
        if self._library is None:
            self._key, self.point = _package_key(pem)
            return
        self._key = private_key(self._library, pem) if pem is not None else _generated(self._library)
        self.point = _der(self._library.i2d_PUBKEY, self._key)[-POINT_OCTETS:]

    @property
    def pem(self) -> bytes:
        """The private key."""
        if self._library is None:
            return _package_pem(self._key)
        text = base64.encodebytes(_der(self._library.i2d_PrivateKey, self._key))
        return b"-----BEGIN EC PRIVATE KEY-----\n" + text + b"-----END EC PRIVATE KEY-----\n"

    def agree(self, point: bytes) -> bytes:
        """The secret shared with the owner of this public key."""
        if self._library is None:
            return _package_agree(self._key, point)
        import ctypes

        library, length = self._library, ctypes.c_size_t(SHARED_OCTETS)
        shared = ctypes.create_string_buffer(SHARED_OCTETS)
        other, context = _public_key(library, point), library.EVP_PKEY_CTX_new(self._key, None)
        try:
            done = (
                library.EVP_PKEY_derive_init(context) == 1
                and library.EVP_PKEY_derive_set_peer(context, other) == 1
                and library.EVP_PKEY_derive(context, shared, ctypes.byref(length)) == 1
            )
            if not done or length.value != SHARED_OCTETS:
                raise MisuseError("these keys do not agree")
            return shared.raw
        finally:
            library.EVP_PKEY_CTX_free(context)
            library.EVP_PKEY_free(other)
            library.ERR_clear_error()

    def __del__(self) -> None:
        if getattr(self, "_library", None) is not None and getattr(self, "_key", None):
            self._library.EVP_PKEY_free(self._key)


def check_point(point: bytes) -> None:
    """Raises MisuseError for what is no point of P-256."""
    library = libcrypto()
    if library is None:
        _package_point(point)
        return
    library.EVP_PKEY_free(_public_key(library, point))


def seal(key: bytes, nonce: bytes, octets: bytes) -> bytes:
    """Encrypted, with the tag at the end. `key`: 16 octets, `nonce`: 12, used once."""
    library = libcrypto()
    if library is None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(key).encrypt(nonce, octets, None)
    import ctypes

    context = library.EVP_CIPHER_CTX_new()
    out, tag, length = ctypes.create_string_buffer(len(octets) or 1), ctypes.create_string_buffer(TAG_OCTETS), ctypes.c_int(0)
    try:
        done = (
            library.EVP_EncryptInit_ex(context, library.EVP_aes_128_gcm(), None, key, nonce) == 1
            and library.EVP_EncryptUpdate(context, out, ctypes.byref(length), octets, len(octets)) == 1
            and length.value == len(octets)
            and library.EVP_EncryptFinal_ex(context, tag, ctypes.byref(length)) == 1
            and library.EVP_CIPHER_CTX_ctrl(context, _GET_TAG, TAG_OCTETS, tag) == 1
        )
        if not done:
            raise MisuseError("this cannot be encrypted")
        return out.raw[: len(octets)] + tag.raw
    finally:
        library.EVP_CIPHER_CTX_free(context)
        library.ERR_clear_error()


def _generated(library: Any) -> Any:
    import ctypes

    key, context = ctypes.c_void_p(), library.EVP_PKEY_CTX_new_id(_EC, None)
    try:
        done = (
            library.EVP_PKEY_keygen_init(context) == 1
            and library.EVP_PKEY_CTX_ctrl_str(context, b"ec_paramgen_curve", b"P-256") == 1
            and library.EVP_PKEY_keygen(context, ctypes.byref(key)) == 1
        )
        if not done:
            raise MisuseError("no key could be made")
        return key
    finally:
        library.EVP_PKEY_CTX_free(context)
        library.ERR_clear_error()


def _public_key(library: Any, point: bytes) -> Any:
    import ctypes

    octets = _SPKI + _uncompressed(point)
    place = ctypes.c_char_p(octets)
    key = library.d2i_PUBKEY(None, ctypes.byref(place), len(octets))
    if not key:
        library.ERR_clear_error()
        raise MisuseError("this is not a point of P-256")
    return key


def _uncompressed(point: bytes) -> bytes:
    if len(point) != POINT_OCTETS or point[0] != 4:
        raise MisuseError("this is not a point of P-256")
    return point


def _der(encode: Any, key: Any) -> bytes:
    import ctypes

    length = encode(key, None)
    if length <= 0:
        raise MisuseError("the key cannot be written")
    octets = ctypes.create_string_buffer(length)
    encode(key, ctypes.byref(ctypes.c_char_p(ctypes.addressof(octets))))
    return octets.raw


# --- with the package ------------------------------------------------------------------------------------


def _package_key(pem: bytes | None) -> tuple[Any, bytes]:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        key: Any = load_pem_private_key(pem, None) if pem is not None else ec.generate_private_key(ec.SECP256R1())
    except (ValueError, TypeError):
        raise MisuseError("this is not a private key") from None
    return key, key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _package_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def _package_point(point: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _uncompressed(point))
    except (ValueError, UnsupportedAlgorithm):
        raise MisuseError("this is not a point of P-256") from None


def _package_agree(key: Any, point: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec

    return bytes(key.exchange(ec.ECDH(), _package_point(point)))
