"""JMAPACCESS: told to who is signed in, where there is JMAP (RFC 9698)."""

from pathlib import Path

from appliance.app.web_address import base_url, jmap_url
from appliance.imapd.options import ImapOptions
from tests.imapd.client import greeted, signed_in
from tests.imapd.picture import ok
from tests.support.admin import admin_server
from tests.support.services import some_components

URL = "https://mail.example.org:8443/jmap/session"


async def test_the_url_of_the_session_object(tmp_path: Path) -> None:
    async with some_components(tmp_path, imap=ImapOptions(jmap_url=URL)) as components:
        assert b"JMAPACCESS" not in (await ok(await greeted(components), b"CAPABILITY"))[0]
        client = await signed_in(components)
        assert b" JMAPACCESS" in (await ok(client, b"CAPABILITY"))[0]
        assert await ok(client, b"GETJMAPACCESS") == [b'* JMAPACCESS "%b"' % URL.encode()]


async def test_where_there_is_no_jmap(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await signed_in(components)
        assert b"JMAPACCESS" not in (await ok(client, b"CAPABILITY"))[0]
        assert (await client.command(b"GETJMAPACCESS"))[1].startswith(b"NO ")


async def test_it_is_the_url_that_jmap_has(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        listens = bool(one.components.settings.listen.addresses("https"))
        assert jmap_url(one.components) == (base_url(one.components) + "/jmap/session" if listens else "")
        assert base_url(one.components).startswith("https://")
