"""PLAIN: authorization identity, name and password in one response (RFC 4616).

An authorization identity other than the name itself is refused: nobody acts for somebody else here.
"""

from .mechanism import Challenge, CheckPassword, Failed, PasswordMechanism, Step, read_name, read_password


class Plain(PasswordMechanism):
    """`[authzid] NUL authcid NUL passwd` (RFC 4616 §2)."""

    def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        chunks = response.split(b"\0", 3)
        if len(chunks) != 3:
            return Failed("PLAIN response is not three fields")
        acting_for, name, password = chunks[0], read_name(chunks[1]), read_password(chunks[2])
        if name is None or password is None:
            return Failed("PLAIN name or password is empty, too long or not UTF-8")
        if acting_for and acting_for != chunks[1]:
            return Failed("PLAIN asks to act for somebody else")
        return CheckPassword(name, password)
