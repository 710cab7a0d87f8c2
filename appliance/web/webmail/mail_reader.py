"""What webmail reads of messages: JMAP's methods, called in this process as a client would call them."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from appliance.mail.errors import MisuseError
from appliance.mail.ids import AccountId
from appliance.protocol.jmap.errors import RequestError

from ..jmap import JmapBlob, JmapPort
from ..message import HttpRefusal

CAPABILITIES = ("urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail")
PART = ("partId", "blobId", "type", "charset", "name", "cid", "disposition")


class MailReader:
    """Reads for one signed-in account at a time. Everything raises HttpRefusal."""

    def __init__(self, jmap: JmapPort) -> None:
        self._jmap = jmap

    async def accounts(self, account: AccountId) -> dict[str, Any]:
        """The session object."""
        return await self._jmap.session(account, "")

    async def call(self, account: AccountId, name: str, **arguments: Any) -> dict[str, Any]:
        """The arguments of the response."""
        (found,) = await self.calls(account, [(name, arguments)])
        return found

    async def calls(self, account: AccountId, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """The arguments of the responses to several calls of one request."""
        numbered = [[name, arguments, str(number)] for number, (name, arguments) in enumerate(calls)]
        octets = json.dumps({"using": CAPABILITIES, "methodCalls": numbered}).encode()
        try:
            answer = await self._jmap.api(octets, account)
        except RequestError as error:
            raise HttpRefusal(error.status) from None
        for answered, found, _ in answer["methodResponses"]:
            if answered == "error":
                raise HttpRefusal(404 if found["type"] in ("accountNotFound", "invalidArguments") else 503)
        return [found for _, found, _ in answer["methodResponses"]]

    async def email(self, account: AccountId, jmap_account: str, email: str, properties: Sequence[str], **more: Any) -> dict[str, Any]:
        found = await self.call(account, "Email/get", accountId=jmap_account, ids=[email], properties=properties, **more)
        if not found["list"]:
            raise HttpRefusal(404)
        result: dict[str, Any] = found["list"][0]
        return result

    async def blob(self, account: AccountId, jmap_account: str, blob: str) -> JmapBlob:
        found = await self._jmap.blob(account, jmap_account, blob)
        if found is None:
            raise HttpRefusal(404)
        return found

    async def octets(self, account: AccountId, jmap_account: str, blob: str, most: int) -> bytes:
        """The first octets of a blob; what stands before damage."""
        octets = bytearray()
        async for chunk in undamaged((await self.blob(account, jmap_account, blob)).chunks):
            octets += chunk
            if len(octets) >= most:
                break
        return bytes(octets[:most])


async def undamaged(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Up to the end, or to damage."""
    try:
        async for chunk in chunks:
            yield chunk
    except MisuseError:
        return
