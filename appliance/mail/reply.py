"""SMTP replies and enhanced status codes as values (RFC 5321 §4.2, RFC 3463)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: three-digit code, enhanced status code such as "5.1.1" or "", and its lines of text (no CRLF)."""

    code: int
    status: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, code: int, status: str, *lines: str) -> "Reply":
        return cls(code, status, lines)

    @property
    def positive(self) -> bool:
        return self.code < 400

    @property
    def temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    def __str__(self) -> str:
        """On one line, for log and status."""
        text = " ".join(self.lines)
        return f"{self.code} {self.status} {text}" if self.status else f"{self.code} {text}"
