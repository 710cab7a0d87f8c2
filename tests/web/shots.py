"""`make web-shots`: every page at three widths, light and dark, into a directory, to be looked at."""

import sys
import tempfile
from pathlib import Path

from tests.support.server import PASSWORD, Pillarbox, new_data
from tests.web.browser import PROTOCOLS, WIDTHS, Chromium, chromium, sign_in

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
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                shoot(browser, out, width, scheme, only)


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


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
