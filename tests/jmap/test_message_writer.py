"""jmap/message_writer: a blob that stands in many parts is looked at once, and encoded as each of its types allows."""

from collections.abc import AsyncIterator

from appliance.jmap.blobs import MESSAGE, Blob
from appliance.jmap.email_create import NewPart
from appliance.jmap.message_writer import _forms_of


def blob_of(octets: bytes, opened: list[str], name: str = "U1") -> Blob:
    async def chunks() -> AsyncIterator[bytes]:
        opened.append(name)
        yield octets

    return Blob(name, MESSAGE, len(octets), chunks)


async def test_a_message_in_many_parts_is_read_once() -> None:
    opened: list[str] = []
    short, long = blob_of(b"Subject: a\r\n\r\n\xe4\r\n", opened), blob_of(b"Subject: " + b"x" * 2000, opened, "U2")
    root = NewPart(type="multipart/mixed")
    for blob in (short, long):
        root.children += [NewPart(type=MESSAGE, blob=blob) for _ in range(50)] + [NewPart(type="text/plain", blob=blob)]
    forms = await _forms_of(root)
    assert opened == ["U1", "U2"]
    assert [forms[id(part)] for part in root.children] == ["8bit"] * 50 + ["base64"] + ["base64"] * 51
    assert {part.type for part in root.children[51:101]} == {"application/octet-stream"} and root.children[101].type == "text/plain"
