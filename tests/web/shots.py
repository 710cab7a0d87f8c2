"""`make web-shots`: every page at three widths, light and dark, into a directory, to be looked at."""

import sys
import tempfile
from pathlib import Path

from tests.support.server import PASSWORD, Pillarbox, new_data
from tests.web.browser import PROTOCOLS, WIDTHS, Chromium, chromium, sign_in
from tests.web.webmail.mailing import deliver, message, pictures
from tests.web.webmail.test_names_and_signatures import names

MAIL = (
    ("Grandma Rose", "Apple cake", "Here is the recipe you asked for: six apples, 200 g of flour, and patience."),
    ("Tom Baker", "Football on Saturday", "We meet at ten at the pitch behind the school. Can you bring the balls?"),
    ("City Library", "Your books are due", "Three books are due on Friday. You can renew them once."),
    ("Lena", "Photos from the lake", "The one with the dog in the boat is my favourite."),
    ("Dr. Weiss", "Appointment on 3 December", "We have changed your appointment to 3 December, 14:30."),
    ("School office", "Parents' evening", "The parents' evening of class 4b is on Thursday at seven."),
    ("Peter Lang", "The old bicycle", "Is it still for sale? I could come by tomorrow after work."),
)

PAGES = (
    "/admin/", "/admin/accounts", "/admin/accounts/ada@home.example", "/admin/domains", "/admin/queue", "/admin/messages", "/admin/network",
    "/admin/certificates", "/admin/settings", "/admin/storage", "/admin/logs", "/admin/power", "/own/", "/own/password",
    "/own/second-factor", "/own/passkeys", "/own/mail", "/own/forwarding", "/trust",
)  # fmt: skip


def main(out: Path, only: str = "") -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        Pillarbox(new_data(Path(place) / "data", "ada", "mary"), protocols=PROTOCOLS) as server,
        chromium(server) as browser,
    ):
        dinner = message("Dinner", "Shall we meet at six?\n", id="<d1@x>", name="Tom Baker")
        answer = message("Re: Dinner", "Yes, gladly. I bring the soup.\n\n> Shall we meet at six?\n", id="<d2@x>", after="<d1@x>")
        deliver(server, *(message(subject, text + "\n", name=name) for name, subject, text in MAIL), dinner, answer, pictures())
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                shoot(browser, out, width, scheme, only)
                if only in "/mail/":
                    shoot_mail(browser, out, width, scheme)


def shoot(browser: Chromium, out: Path, width: int, scheme: str, only: str) -> None:
    """Every page at one width in one scheme."""
    page = browser.page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto("/sign-in")
    page.screenshot(path=out / f"sign-in-{width}-{scheme}.png", full_page=True)
    sign_in(page, "ada@home.example", PASSWORD)
    for path in PAGES:
        if only in path:
            page.goto(path)
            name = path.strip("/").replace("/", "-").replace("@", "-") or "admin"
            page.screenshot(path=out / f"{name}-{width}-{scheme}.png", full_page=True)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                print(f"{path} scrolls sideways at {width}")
    page.context.close()


def shoot_mail(browser: Chromium, out: Path, width: int, scheme: str) -> None:
    """Webmail at one width in one scheme: the list, two conversations, an answer, the menu, several selected, and dialogs."""
    page = browser.page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.set_default_timeout(60_000)

    def picture(name: str) -> None:
        page.screenshot(path=out / f"mail-{name}-{width}-{scheme}.png")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            print(f"mail {name} scrolls sideways at {width}")

    sign_in(page, "ada@home.example", PASSWORD)
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    picture("list")
    page.locator("#list").press("Space")
    page.locator("#list").press("Shift+ArrowDown")
    page.locator("#selected").wait_for()
    picture("selected")
    page.locator("#list").press("Escape")
    if page.locator("#menu").is_visible():
        page.locator("#menu").click()
        page.wait_for_timeout(400)
        picture("menu")
        page.locator("#menu").click()
        page.wait_for_timeout(400)
    for subject, name in (("Holiday", "images"), ("Dinner", "reading")):
        page.get_by_role("option").filter(has_text=subject).first.click()
        page.locator("#subject").get_by_text(subject).wait_for()
        page.frame_locator("article.open iframe").last.locator("body").wait_for()
        page.wait_for_timeout(600)
        picture(name)
        if page.locator("#back").is_visible() and name == "images":
            page.locator("#back").click()
    page.keyboard.press("r")
    page.locator("#composer").wait_for()
    picture("writing")
    page.get_by_role("button", name="Throw away").click()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    picture("keyboard")
    page.keyboard.press("Escape")
    names(page)
    picture("names")
    page.context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
