"""ENABLE: the client switches extensions on (RFC 5161)."""

from typing import TYPE_CHECKING

from ..completion import Completion, ok
from ..contract import ImapCommand, ImapExtension, ImapState

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession


def read_enable(tokens: "Tokens") -> list[bytes]:
    tokens.space()
    names = [tokens.keyword()]
    while tokens.accept(b" "):
        names.append(tokens.keyword())
    return names


async def enable(session: "CommandSession", names: list[bytes], uid: bool) -> Completion:
    """Unknown words are ignored; ENABLED names what is newly enabled (RFC 5161 §3.2)."""
    newly = [word for word in dict.fromkeys(names) if word in session.registry.enable and word not in session.enabled]
    session.queue(b" ".join((b"* ENABLED", *newly)) + b"\r\n")
    for word in newly:
        await session.enable(word)
    return ok(b"ENABLE completed.")


EXTENSION = ImapExtension(
    name="ENABLE",
    rfc="RFC 5161",
    capability=lambda session: (b"ENABLE",),
    commands=(ImapCommand(b"ENABLE", ImapState.SIGNED_IN, read_enable, enable, rfc="RFC 9051 §6.3.1"),),
)
