"""Links whose text tells another place than where they lead."""

import pytest

from appliance.web.webmail.html_cleaning import clean_html
from appliance.web.webmail.links import marked_links
from appliance.web.webmail.text_document import linked


def hosts(html: str) -> list[str]:
    """What is said beside the links of a message."""
    marked = marked_links(clean_html(html, lambda name: None, None).html or "")
    return [part.partition("]</bdi>")[0] for part in marked.split(" <bdi class=leads>[")[1:]]


@pytest.mark.parametrize(
    ("href", "text", "host"),
    [
        ("https://evil.example/x", "https://bank.example/login", "evil.example"),
        ("https://evil.example/", "<b>www.</b>bank.example", "evil.example"),
        ("https://evil.example/", "b&#x200b;ank.exam&shy;ple", "evil.example"),
        ("https://evil.example/", "bank\uff0eexample", "evil.example"),
        ("https://evil.example/", "https:\u2215\u2215bank.example/", "evil.example"),
        ("https://evil.example/", "(bank.example)", "evil.example"),
        ("https://bank.example.evil.example/", "bank.example", "bank.example.evil.example"),
        ("https://bank.example@evil.example/", "go", "evil.example"),
        ("https://\u0430pple.example/", "here", "xn--pple-43d.example"),
        ("https://[2001:db8::1]/", "bank.example", "2001:db8::1"),
        ("https://www.bank.example/a", "bank.example", None),
        ("https://news.bank.example/a", "Bank.example", None),
        ("https://xn--mller-kva.example/", "müller.example", None),
        ("https://müller.example/", "here", None),
        ("https://evil.example/", "Hello. Click here", None),
        ("https://evil.example/", "Version 2.0.1", None),
        ("mailto:x@evil.example", "bank.example", None),
    ],
)
def test_the_host_stands_beside_it_where_it_is_another(href: str, text: str, host: str | None) -> None:
    assert hosts(f"<p><a title='</a>' href='{href}'>{text}</a> and more</p>") == ([host] if host else [])


def test_a_backslash_is_read_as_browsers_do() -> None:
    assert "[evil.example]" in marked_links('<a href="https://evil.example\\@bank.example/">bank.example</a>')


def test_links_in_text_are_what_they_say() -> None:
    assert "[evil.example]" in linked("https://bank.example@evil.example/")
    assert "[xn--pple-43d.example]" in linked("see https://\u0430pple.example/")
    assert "bdi" not in linked("https://müller.example/ and mary@bank.example")


def test_a_link_has_no_title_that_tells_another_place() -> None:
    html = "<a href='https://evil.example/' title='https://bank.example/'><img src='cid:p' title='https://bank.example/' alt='go'></a>"
    cleaned = clean_html(html, lambda name: "/mail/image/x", None).html
    assert cleaned is not None and "bank.example" not in cleaned and 'alt="go"' in cleaned


def test_a_message_cannot_make_the_mark() -> None:
    assert "leads" not in (clean_html("<bdi class=leads>[bank.example]</bdi>", lambda name: None, None).html or "")
