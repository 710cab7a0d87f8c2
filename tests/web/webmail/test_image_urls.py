"""Signed URLs: only ours, only for an hour."""

from appliance.mail.ids import AccountId
from appliance.web.webmail.image_urls import VALID_S, ImageUrls, SignedImage

ADA = AccountId(7)


def test_only_what_was_signed_is_read_and_only_for_an_hour() -> None:
    now = [100.0]
    urls = ImageUrls(lambda: now[0])
    token = urls.inline(ADA, "A2", "B1-2").removeprefix("/mail/image/")
    assert urls.read(token) == SignedImage(True, ADA, "A2 B1-2")
    remote = urls.remote(ADA, "https://x.example/ä") or ""
    assert urls.read(remote.removeprefix("/mail/image/")) == SignedImage(False, ADA, "https://x.example/ä")
    assert urls.remote(ADA, "https://x.example/" + "a" * 2000) is None
    for other in ("", "a", "ä", token[:-1], token[1:], ("A" if token[20] != "A" else "B").join((token[:20], token[21:])), token + "AAAA"):
        assert urls.read(other) is None
    assert ImageUrls(lambda: now[0]).read(token) is None, "another process has another key"
    now[0] += VALID_S + 1
    assert urls.read(token) is None
