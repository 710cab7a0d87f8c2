"""Email/parse: uploaded, stored and attached messages as Emails (RFC 8621 §4.9)."""

import base64
from pathlib import Path

from .server import BEN, a_client

INNER = (
    b"From: Bob <bob@x.example>\r\nSubject: =?utf-8?q?inn=C3=A9r?=\r\nDate: Tue, 1 Jul 2003 10:52:37 +0200\r\nReferences: <r@x>\r\n"
    b"Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nfirst\r\n--i\r\nContent-Type: image/png; name=x.png\r\n"
    b"Content-Disposition: attachment\r\n\r\npng\r\n--i--\r\n"
)
OUTER = (
    b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nhi\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"
    + INNER
    + b"\r\n--o\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(INNER).replace(b"\n", b"\r\n")
    + b"\r\n--o--\r\n"
)


async def test_the_properties_and_the_blobs_of_parts(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        outer, upload = f"B{(await client.append(OUTER)).message}", await client.upload(INNER)
        blobs = [f"{outer}-2", f"{outer}-3", upload]
        done = await client.call("Email/parse", blobIds=[*blobs, outer], fetchTextBodyValues=True)
        assert done["notParsable"] is done["notFound"] is None and list(done["parsed"]) == [*blobs, outer]
        for blob in blobs:
            found = done["parsed"][blob]
            assert "id" not in found and found["subject"] == "inn\xe9r" and found["from"] == [{"name": "Bob", "email": "bob@x.example"}]
            assert found["references"] == ["r@x"] and found["sentAt"] == "2003-07-01T10:52:37+02:00" and found["hasAttachment"] is True
            assert [value["value"] for value in found["bodyValues"].values()] == ["first"] and found["preview"] == "first"
            attached = found["attachments"][0]
            assert attached["blobId"] == f"{blob}-2" and attached["name"] == "x.png" and await client.octets(attached["blobId"]) == b"png"
        assert done["parsed"][outer]["subject"] == "outer"


async def test_metadata_is_null_and_what_is_no_message_is_told(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        blob = await client.upload(INNER)
        wanted = ["id", "blobId", "threadId", "mailboxIds", "keywords", "receivedAt", "size", "header:References", "bodyStructure"]
        picture, other = await client.upload(b"\x89PNG\r\n"), await client.upload(INNER, account=BEN)
        done = await client.call(
            "Email/parse", blobIds=[blob, picture, other, "U99", "x"], properties=wanted, bodyProperties=["type", "subParts"]
        )
        assert done["notParsable"] == [picture] and done["notFound"] == [other, "U99", "x"]
        assert done["parsed"] == {blob: {
            "id": None, "blobId": blob, "threadId": None, "mailboxIds": None, "keywords": None, "receivedAt": None, "size": len(INNER),
            "header:References": " <r@x>",
            "bodyStructure": {"type": "multipart/mixed", "subParts": [{"type": "text/plain"}, {"type": "image/png"}]},
        }}  # fmt: skip
        assert await client.error("Email/parse", blobIds=[blob], properties=["header:From:asDate"]) == "invalidArguments"
        assert await client.error("Email/parse", blobIds=[f"U{n}" for n in range(51)]) == "requestTooLarge"
        assert (await client.call("Email/parse", blobIds=[]))["parsed"] is None
