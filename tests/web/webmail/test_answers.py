"""Answers to messages that hardly any program writes: they can be sent, and what goes out is sound."""

from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

import pytest

from tests.support.server import Pillarbox
from tests.web.webmail.mailing import deliver
from tests.web.webmail.test_journeys import fetched

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = [f"<{number}@x.example>" for number in range(100)]


def odd(subject: str, *fields: str) -> bytes:
    given = {field.partition(":")[0] for field in fields}
    usual = {
        "From": "Mary <mary.smith@friends.example>",
        "To": "ada@home.example",
        "Message-ID": f"<{len(subject)}.{subject[:3]}@x.example>",
    }
    lines = [*fields, *(f"{name}: {value}" for name, value in usual.items() if name not in given), f"Subject: {subject}"]
    return "\r\n".join([*lines, "", "text", ""]).encode()


@pytest.mark.parametrize(
    ("fields", "shown", "sent"),
    [
        (("X-Kind: control",), "bell", {"Subject": "Re: be ll bell"}),
        (("Message-ID: <" + "m" * 950 + "@x.example>",), "long id", {"In-Reply-To": None}),
        ((f"References: {' '.join(ROOT)}",), "thread", {"References": [ROOT[0], *ROOT[-28:], "<6.thr@x.example>"]}),
        (("Cc: b@x.example, G: c@x.example, B@x.example;",), "twice", {"Cc": "B@x.example, c@x.example"}),
    ],
)
def test_an_answer_to_an_odd_message(
    ada: "Page", server: Pillarbox, fields: tuple[str, ...], shown: str, sent: dict[str, str | list[str] | None]
) -> None:
    from playwright.sync_api import expect

    subject = "=?utf-8?q?be=07ll_bell?=" if shown == "bell" else shown
    deliver(server, message_from_bytes(odd(subject, *fields)))
    ada.get_by_role("option").filter(has_text=shown).click()
    ada.locator("article.open").wait_for()
    ada.keyboard.press("a")
    ada.locator("#composer").wait_for()
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.locator("#said")).to_contain_text("Sent.")
    ((octets,),) = fetched(server, "ada", shown, "Sent")
    found = message_from_bytes(octets, policy=default)
    for name, value in sent.items():
        assert (found[name].split() if isinstance(value, list) else found[name]) == value
