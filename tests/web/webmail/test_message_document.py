"""web/webmail/message_document: what stands on the page of a message is bounded, however many parts it has."""

import re
from typing import Any, cast

import pytest

from appliance.languages.catalogues import ENGLISH
from appliance.mail.ids import AccountId
from appliance.web.webmail.image_senders import ImageSenders
from appliance.web.webmail.image_urls import ImageUrls
from appliance.web.webmail.message_document import PAGE_CHARACTERS, MessageDocuments, _Document
from appliance.web.webmail.modules import DIRECTORY
from appliance.web.webmail.raster import TYPES


def email_of(*values: str) -> dict[str, Any]:
    """As JMAP tells a message with these text parts."""
    parts = [{"partId": str(number), "type": "text/plain", "cid": None, "name": None, "blobId": "B1"} for number in range(len(values))]
    for part in parts:
        part["header:Content-Type:asRaw"] = " text/plain"
    bodies = {str(number): {"value": value, "isTruncated": False} for number, value in enumerate(values)}
    return {"htmlBody": parts, "textBody": parts, "attachments": [], "bodyValues": bodies}


def test_parts_behind_the_bound_are_left_out_and_said_to_be() -> None:
    many = _Document(email_of(*["x" * (PAGE_CHARACTERS // 4)] * 10), ENGLISH, str, None)
    assert len(many.body(False)) < 2 * PAGE_CHARACTERS and many.cut
    few = _Document(email_of("a", "b"), ENGLISH, str, None)
    assert "a" in few.body(False) and "b" in few.body(False) and not few.cut


def picture(blob: str, **facts: Any) -> dict[str, Any]:
    return {"partId": blob, "blobId": blob, "type": "image/png", "name": None, "cid": blob, "disposition": "inline"} | facts


def test_html_that_cannot_be_shown_is_its_text_where_no_other_is_there() -> None:
    deep = email_of("<div>" * 1000 + "deep &amp; <b>down</b>")
    deep["htmlBody"][0]["type"] = "text/html"
    assert ">deep &amp; down</p>" in _Document(deep, ENGLISH, str, None).body(False)


def test_pictures_that_the_html_does_not_show_are_at_its_end() -> None:
    email = email_of("<p><img src='cid:p1'></p><p>end</p>")
    email["htmlBody"][0]["type"] = "text/html"
    email["htmlBody"].append(picture("p2"))
    email["attachments"] = [picture(f"p{number}") for number in (1, 2, 3)]
    email["attachments"] += [picture("p4", disposition="attachment"), picture("p5", cid=None), picture("p6", type="application/pdf")]
    body = _Document(email, ENGLISH, str, None).body(False)
    assert [body.count(f"p{number}") for number in range(1, 7)] == [1, 1, 1, 0, 0, 0] and body.index("end") < body.index("p3")


def test_the_page_and_the_server_have_the_same_pictures() -> None:
    (listed,) = re.findall(r"const PICTURE = /(.*)/$", (DIRECTORY / "attachments.js").read_text(), re.MULTILINE)
    assert all(re.fullmatch(listed.replace("\\/", "/"), kind) for kind in TYPES)
    assert not any(re.fullmatch(listed.replace("\\/", "/"), kind) for kind in ("image/svg+xml", "image/heic", "image/tiff", "text/html"))


class _Everybody(ImageSenders):
    def __init__(self) -> None:
        """Whose images are shown: everybody's."""

    async def has(self, account: AccountId, sender: str) -> bool:
        return True


@pytest.mark.parametrize(
    ("senders", "dmarc", "chosen"),
    [
        (["a@x.example"], "", True),
        (["a@x.example"], "pass", True),
        (["a@x.example"], "fail", False),
        (["a@x.example", "b@y.example"], "", False),
        ([], "", False),
    ],
)
async def test_images_are_shown_unasked_for_a_sender_who_is_the_only_one(senders: list[str], dmarc: str, chosen: bool) -> None:
    documents = MessageDocuments(cast("Any", None), ImageUrls(lambda: 0.0), str, _Everybody())
    email = {"from": [{"email": one} for one in senders] or None}
    assert await documents._is_chosen(AccountId(1), email, {"dmarc": [dmarc, ""]} if dmarc else {}) == chosen
