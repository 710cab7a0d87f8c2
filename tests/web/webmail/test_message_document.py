"""web/webmail/message_document: what stands on the page of a message is bounded, however many parts it has."""

from typing import Any

from appliance.languages.catalogues import ENGLISH
from appliance.web.webmail.message_document import PAGE_CHARACTERS, _Document


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
