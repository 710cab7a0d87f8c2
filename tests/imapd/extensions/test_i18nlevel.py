"""I18NLEVEL=1: what i;unicode-casemap holds equal is found, and SORT orders by it (RFC 5255 §4, RFC 5051)."""

from collections import defaultdict
from pathlib import Path
from unicodedata import decomposition

from appliance.mail.collation import casemap
from appliance.mail.query import folded
from tests.imapd.client import signed_in
from tests.imapd.picture import ok
from tests.support.services import some_components


def test_search_holds_equal_what_the_collation_does() -> None:
    found = defaultdict(set)
    for code in (*range(0xD800), *range(0xE000, 0x1F000)):
        character = chr(code)
        if character.title() != character or decomposition(character):
            for one in (character, character.title(), character.lower()):
                found[casemap(one)].add(folded(one))
    assert len(found) > 3000 and not {key: texts for key, texts in found.items() if len(texts) > 1}


async def test_search_and_sort(tmp_path: Path) -> None:
    subjects = ("\u00e9clair", "ZEBRA", "\u0131zgara", "apple", "\u03a3\u03ac\u03bc\u03bf\u03c2")
    async with some_components(tmp_path) as components:
        for subject in subjects:
            await components.deliver(f"Subject: {subject}\r\n\r\n".encode())
        client = await signed_in(components, b"INBOX")
        assert b"I18NLEVEL=1" in (await ok(client, b"CAPABILITY"))[0]
        for number, needle in ((1, "\u00c9CLAIR"), (1, "E\u0301cl"), (2, "zebra"), (3, "IZGARA"), (5, "\u03c3\u03ac\u03bc\u03bf\u03c3")):
            octets = needle.encode()
            await client.send(b"s SEARCH CHARSET UTF-8 SUBJECT {%d+}\r\n%b\r\n" % (len(octets), octets))
            assert (await client.until_tag(b"s"))[0] == [b"* SEARCH %d" % number], needle
        assert await ok(client, b"SORT (SUBJECT) UTF-8 ALL") == [b"* SORT 4 1 3 2 5"]
