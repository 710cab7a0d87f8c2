"""PLAIN: authorization identity, name and password in one response (RFC 4616).

An authorization identity other than the name itself is refused: no account acts for another here.
"""

from .mechanism import Challenge, CheckPassword, Failed, Step, StepsUnused, read_name, read_password


class Plain(StepsUnused):
    """`[authzid] NUL authcid NUL passwd` (RFC 4616 §2)."""

    def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        fields = response.split(b"\0", 3)
        if len(fields) != 3:
            return Failed("PLAIN response is not three fields")
        authzid, name, password = fields[0], read_name(fields[1]), read_password(fields[2])
        if name is None or password is None:
            return Failed("PLAIN name or password is empty, too long or not UTF-8")
        if authzid and authzid != fields[1]:
            return Failed("PLAIN asks to act for another account")
        return CheckPassword(name, password)
