"""SEARCH=FUZZY: relevancy is 1 to 100, better for better matches, and the newest first among equals."""

import re
from pathlib import Path

from appliance.imapd.extensions.fuzzy import FIELDS, fuzzy
from appliance.mail.query import And, BodyHas, FieldResembles, Flagged, HeaderHas, Not, Or, TextHas
from tests.imapd.client import signed_in
from tests.imapd.picture import ok
from tests.support.services import some_components


def test_what_fuzzy_makes_of_a_query() -> None:
    assert fuzzy(HeaderHas("subject", "Big Dog")) == FieldResembles(("subject",), ("big", "dog"))
    assert fuzzy(BodyHas("Big Dog")) == And((BodyHas("Big"), BodyHas("Dog")))
    assert fuzzy(TextHas("dog")) == Or((FieldResembles(FIELDS, ("dog",)), And((TextHas("dog"),))))
    for field, needle in (("x-other", "dog"), ("subject", ""), ("from", "!?")):
        assert fuzzy(HeaderHas(field, needle)) == HeaderHas(field, needle)
    assert fuzzy(Not(HeaderHas("subject", "a"))) == Not(HeaderHas("subject", "a"))
    nested = And((Or((HeaderHas("to", "ann"), Flagged(1))), BodyHas("x")))
    assert fuzzy(nested) == And((Or((FieldResembles(("to",), ("ann",)), Flagged(1))), And((BodyHas("x"),))))


async def test_relevancy(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for subject, body in (("holiday photos", ""), ("holyday photo", ""), ("other", "holiday photos"), ("holiday photos", "")):
            await components.deliver(f"Subject: {subject}\r\n\r\n{body}\r\n".encode())
        client = await signed_in(components, b"INBOX")
        (response,) = await ok(client, b'SEARCH RETURN (ALL RELEVANCY) FUZZY TEXT "holiday photos"')
        found = re.search(rb"ALL 1:4 RELEVANCY \(([0-9 ]+)\)", response)
        assert found, response
        old, slip, body, new = map(int, found[1].split())
        assert 100 >= new > old > slip > body >= 1
        assert await ok(client, b'SORT (RELEVANCY) UTF-8 FUZZY TEXT "holiday photos"') == [b"* SORT 4 1 2 3"]


async def test_a_message_expunged_meanwhile_is_left_out(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for _ in range(3):
            await components.deliver(b"Subject: hello\r\n\r\n")
        client, other = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        await ok(other, b"STORE 2 +FLAGS.SILENT (\\Deleted)")
        await ok(client, b"NOOP")
        await ok(other, b"EXPUNGE")
        untagged, tagged = await client.command(b"SORT (RELEVANCY) UTF-8 FUZZY SUBJECT helo")
        assert untagged == [b"* SORT 3 1"] and tagged.startswith(b"OK [EXPUNGEISSUED]")
