"""protocol/http/target: paths are decoded once, and what could be read in two ways is refused."""

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.http.target import HostName, parse_host, parse_target


def test_segments_are_decoded_and_never_split_again() -> None:
    assert parse_target("/").segments == ("",)
    assert parse_target("/a%2Fb/c%20d?x=1").segments == ("a/b", "c d") and parse_target("/a?x=1?y").query == "x=1?y"
    assert parse_target("/gr%C3%BC%C3%9Fe").segments == ("grüße",)
    assert parse_target("http://box.local:80/a").authority == "box.local:80" and parse_target("https://box.local").segments == ("",)


@pytest.mark.parametrize(
    "target",
    ["*", "a", "", "/a/../b", "/a/%2e%2e/b", "/.", "/%zz", "/%", "/%ff", "/%00", "/%0d%0a", "/a%5cb", "/a\\b", "/ä", "/<x>", "http:///a",
        "http://user@box/", "ftp://box/"],
)  # fmt: skip
def test_what_no_browser_sends_is_refused(target: str) -> None:
    with pytest.raises(MisuseError):
        parse_target(target)


def test_hosts() -> None:
    assert parse_host("Box.Local:8443") == HostName("box.local", 8443, False) and parse_host("box.local.").name == "box.local"
    assert parse_host("[FD00::2]:1").name == "fd00::2" and parse_host("192.0.2.1") == HostName("192.0.2.1", 0, True)
    for wrong in ("", "a b", "a:b", "a:99999", "a/b", "[::1", "::1", "a@b", "a,b"):
        with pytest.raises(MisuseError):
            parse_host(wrong)
