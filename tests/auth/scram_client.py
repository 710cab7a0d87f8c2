"""An honest SCRAM-SHA-256 client (RFC 5802 §3), for tests of servers."""

import hmac
from base64 import b64decode, b64encode
from hashlib import pbkdf2_hmac, sha256


class ScramClient:
    """`header` is the GS2 header, `binding` the channel's data for a header that begins with "p="."""

    def __init__(self, name: str, password: str, *, header: bytes = b"n,,", binding: bytes = b"") -> None:
        self._bare = b"n=" + name.encode() + b",r=client"
        self._password = password.encode()
        self._header = header
        self._binding = binding
        self._signature = b""

    def first(self) -> bytes:
        return self._header + self._bare

    def final(self, server_first: bytes) -> bytes:
        fields = dict(field.split(b"=", 1) for field in server_first.split(b","))
        salted = pbkdf2_hmac("sha256", self._password, b64decode(fields[b"s"]), int(fields[b"i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=" + b64encode(self._header + self._binding) + b",r=" + fields[b"r"]
        auth_message = b",".join((self._bare, server_first, without_proof))
        proof = bytes(a ^ b for a, b in zip(client_key, hmac.digest(sha256(client_key).digest(), auth_message, "sha256"), strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth_message, "sha256")
        return without_proof + b",p=" + b64encode(proof)

    def proves(self, server_final: bytes) -> bool:
        """Does the server know the password too?"""
        return server_final == b"v=" + b64encode(self._signature)
