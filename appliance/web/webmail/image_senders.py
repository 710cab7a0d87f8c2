"""Senders whose remote images are shown without asking, for each account: a value of the account's metadata (RFC 5464), so it is the
same on every device and goes with the account.

At most MOST addresses, the oldest choice goes first. How it fails: StoreError; then the user is asked again.
"""

import json
from collections.abc import Mapping
from typing import Protocol

import trio

from appliance.mail.ids import AccountId

from ..message import HttpRefusal, HttpRequest, HttpResponse

ENTRY = "/private/vendor/pillarbox/images-from"
MOST = 200
ADDRESS_CHARACTERS = 320


class Metadata(Protocol):
    """The store, as far as values of an account go; the name "" is the account itself."""

    async def metadata(self, account: AccountId, name: str) -> dict[str, bytes]: ...
    async def set_metadata(self, account: AccountId, name: str, changes: Mapping[str, bytes | None]) -> None: ...


class ImageSenders:
    """Reads and changes the choice."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._changing = trio.Lock()

    async def has(self, account: AccountId, sender: str) -> bool:
        return bool(sender) and sender.lower() in await self._read(account)

    async def change(self, request: HttpRequest) -> HttpResponse:
        """POST {"sender": address, "show": bool}."""
        assert request.session is not None  # noqa: S101 - the route wants one
        account = request.session.account
        try:
            given = json.loads(await request.body.read())
            sender, show = given["sender"], given["show"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise HttpRefusal(400) from None
        if not isinstance(sender, str) or not 3 <= len(sender) <= ADDRESS_CHARACTERS or "@" not in sender or not sender.isprintable():
            raise HttpRefusal(422, request.language("That is no e-mail address."))
        async with self._changing:  # two choices at once are both kept
            others = [one for one in await self._read(account) if one != sender.lower()]
            wanted = [*others, sender.lower()][-MOST:] if show is True else others
            await self._metadata.set_metadata(account, "", {ENTRY: "\n".join(wanted).encode() if wanted else None})
        return HttpResponse(204)

    async def _read(self, account: AccountId) -> list[str]:
        return (await self._metadata.metadata(account, "")).get(ENTRY, b"").decode("utf-8", "replace").split("\n")
