"""Signatures with the libcrypto that `ssl` has loaded already, through ctypes; with `cryptography` where that fails.

`Signing` makes those of DKIM and of Web Push, `is_signed` checks those of passkeys; `agreement` builds on the same library. Loading
`cryptography` into the server would cost 8 MB for two calls a message. OpenSSL's objects are freed after each call, the key with its
`Signing`; what a failed call leaves in the thread's error queue is cleared, since `ssl` would take it for its own. Raises MisuseError for a
PEM text that is not a private key.
"""

from collections.abc import Callable
from typing import Any

from appliance.mail.errors import MisuseError


class Signing:
    """One private key. `sign(octets)`, `hashed`: their SHA-256, by RSA PKCS #1 v1.5 or by ECDSA in DER; else Ed25519 (RFC 8463 §3)."""

    def __init__(self, pem: bytes, *, hashed: bool) -> None:
        self._hashed = hashed
        self.sign: Callable[[bytes], bytes]
        library = libcrypto()
        if library is None:
            self.sign = _sign_with_package(pem, hashed=hashed)
        else:
            self._library = library
            self._key = private_key(library, pem)
            self.sign = self._sign_with_library

    def _sign_with_library(self, octets: bytes) -> bytes:
        import ctypes

        library = self._library
        context = library.EVP_MD_CTX_new()
        try:
            digest = library.EVP_sha256() if self._hashed else None
            length = ctypes.c_size_t(1024)
            signature = ctypes.create_string_buffer(length.value)
            if library.EVP_DigestSignInit(context, None, digest, None, self._key) != 1 or (
                library.EVP_DigestSign(context, signature, ctypes.byref(length), octets, len(octets)) != 1
            ):
                raise MisuseError("the key cannot sign")
            return signature.raw[: length.value]
        finally:
            library.EVP_MD_CTX_free(context)

    def __del__(self) -> None:
        key = getattr(self, "_key", None)
        if key:
            self._library.EVP_PKEY_free(key)


def private_key(library: Any, pem: bytes) -> Any:
    """An EVP_PKEY, to be freed."""
    source = library.BIO_new_mem_buf(pem, len(pem))
    # the last argument is the passphrase: without one OpenSSL prompts on the terminal
    key = library.PEM_read_bio_PrivateKey(source, None, None, b"")
    library.BIO_free(source)
    if not key:
        library.ERR_clear_error()
        raise MisuseError("this is not a private key")
    return key


def libcrypto() -> Any:
    """libcrypto with the prototypes of its functions; None where this Python does not expose it."""
    try:
        import _ssl
        import ctypes

        library = ctypes.CDLL(_ssl.__file__)  # symbols are looked up in its dependencies too
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        prototypes: tuple[tuple[str, Any, list[Any]], ...] = (
            ("BIO_new_mem_buf", pointer, [ctypes.c_char_p, ctypes.c_int]),
            ("BIO_free", ctypes.c_int, [pointer]),
            ("PEM_read_bio_PrivateKey", pointer, [pointer, pointer, pointer, ctypes.c_char_p]),
            ("EVP_PKEY_free", None, [pointer]),
            ("EVP_MD_CTX_new", pointer, []),
            ("EVP_MD_CTX_free", None, [pointer]),
            ("EVP_sha256", pointer, []),
            ("EVP_DigestSignInit", ctypes.c_int, [pointer, pointer, pointer, pointer, pointer]),
            ("EVP_DigestSign", ctypes.c_int, [pointer, ctypes.c_char_p, pointer, ctypes.c_char_p, size]),
            ("d2i_PUBKEY", pointer, [pointer, pointer, ctypes.c_long]),
            ("EVP_DigestVerifyInit", ctypes.c_int, [pointer, pointer, pointer, pointer, pointer]),
            ("EVP_DigestVerify", ctypes.c_int, [pointer, ctypes.c_char_p, size, ctypes.c_char_p, size]),
            ("ERR_clear_error", None, []),
            ("EVP_PKEY_CTX_new", pointer, [pointer, pointer]),
            ("EVP_PKEY_CTX_new_id", pointer, [ctypes.c_int, pointer]),
            ("EVP_PKEY_CTX_free", None, [pointer]),
            ("EVP_PKEY_CTX_ctrl_str", ctypes.c_int, [pointer, ctypes.c_char_p, ctypes.c_char_p]),
            ("EVP_PKEY_keygen_init", ctypes.c_int, [pointer]),
            ("EVP_PKEY_keygen", ctypes.c_int, [pointer, pointer]),
            ("EVP_PKEY_derive_init", ctypes.c_int, [pointer]),
            ("EVP_PKEY_derive_set_peer", ctypes.c_int, [pointer, pointer]),
            ("EVP_PKEY_derive", ctypes.c_int, [pointer, ctypes.c_char_p, pointer]),
            ("i2d_PUBKEY", ctypes.c_int, [pointer, pointer]),
            ("i2d_PrivateKey", ctypes.c_int, [pointer, pointer]),
            ("EVP_CIPHER_CTX_new", pointer, []),
            ("EVP_CIPHER_CTX_free", None, [pointer]),
            ("EVP_CIPHER_CTX_ctrl", ctypes.c_int, [pointer, ctypes.c_int, ctypes.c_int, pointer]),
            ("EVP_aes_128_gcm", pointer, []),
            ("EVP_EncryptInit_ex", ctypes.c_int, [pointer, pointer, pointer, ctypes.c_char_p, ctypes.c_char_p]),
            ("EVP_EncryptUpdate", ctypes.c_int, [pointer, ctypes.c_char_p, pointer, ctypes.c_char_p, ctypes.c_int]),
            ("EVP_EncryptFinal_ex", ctypes.c_int, [pointer, ctypes.c_char_p, pointer]),
        )
        for name, result, arguments in prototypes:
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (ImportError, OSError, AttributeError):
        return None
    return library


def _sign_with_package(pem: bytes, *, hashed: bool) -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    try:
        key: Any = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise MisuseError("this is not a private key") from None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return lambda octets: bytes(key.sign(octets, ec.ECDSA(hashes.SHA256())))
    if hashed:
        return lambda octets: bytes(key.sign(octets, padding.PKCS1v15(), hashes.SHA256()))
    return lambda octets: bytes(key.sign(octets))


def is_signed(public_key: bytes, signature: bytes, octets: bytes, *, hashed: bool) -> bool:
    """Does the signature fit? `public_key`: a SubjectPublicKeyInfo. `hashed`: of their SHA-256, by ECDSA or RSA PKCS #1 v1.5; else Ed25519.

    False for what is no key, too.
    """
    library = libcrypto()
    if library is None:
        return _is_signed_with_package(public_key, signature, octets, hashed=hashed)
    import ctypes

    place = ctypes.c_char_p(public_key)
    key, context = library.d2i_PUBKEY(None, ctypes.byref(place), len(public_key)), library.EVP_MD_CTX_new()
    try:
        digest = library.EVP_sha256() if hashed else None
        begun = key and library.EVP_DigestVerifyInit(context, None, digest, None, key) == 1
        return bool(begun and library.EVP_DigestVerify(context, signature, len(signature), octets, len(octets)) == 1)
    finally:
        library.EVP_MD_CTX_free(context)
        library.EVP_PKEY_free(key)
        library.ERR_clear_error()


def _is_signed_with_package(public_key: bytes, signature: bytes, octets: bytes, *, hashed: bool) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    try:
        key = serialization.load_der_public_key(public_key)
        if hashed and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, octets, ec.ECDSA(hashes.SHA256()))
        elif hashed and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, octets, padding.PKCS1v15(), hashes.SHA256())
        elif not hashed and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, octets)
        else:
            return False
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
