"""The second engine for tests: Debian's WebKitGTK by selenium, on a display that nobody sees.

It does not trust the authority of the server under test, and goes on all the same: so service workers and push are not there, as for
whoever has not installed the certificate. Its narrowest window is NARROWEST wide.
"""

import os
import select
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.support.needs import missing, program
from tests.support.server import Pillarbox

if TYPE_CHECKING:
    from selenium.webdriver import WebKitGTK
    from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")

PATIENCE_S = 120.0
NARROWEST = 447
MINI_BROWSER = Path(f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/webkit2gtk-4.1/MiniBrowser")


class Window:
    """A browser with one window. What is looked for is waited for."""

    def __init__(self, driver: "WebKitGTK", address: str) -> None:
        self.driver = driver
        self.address = address

    def open(self, path: str) -> None:
        self.driver.get(path if ":" in path else self.address + path)

    @property
    def url(self) -> str:
        return self.driver.current_url

    def run(self, script: str, *values: Any) -> Any:
        """The body of a function; of a promise it returns, what it comes to."""
        return self.driver.execute_script(script, *values)

    def until(self, look: Callable[[], T], what: str = "") -> T:
        """What `look` finds, as soon as that is something; pages that change under it are looked at again."""
        from selenium.common.exceptions import JavascriptException, NoSuchElementException, StaleElementReferenceException

        due = time.monotonic() + PATIENCE_S
        while True:
            try:
                if found := look():
                    return found
            except (NoSuchElementException, StaleElementReferenceException, JavascriptException):
                pass
            assert time.monotonic() < due, f"waited for {what or look}; the page at {self.url} says: {self.text('body')[:2000]}"
            time.sleep(0.05)

    # --- what is there ------------------------------------------------------------------------------

    def all(self, css: str) -> "list[WebElement]":
        from selenium.webdriver.common.by import By

        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def shown(self, css: str, text: str = "") -> "list[WebElement]":
        """Those that can be seen, with this in their text. One request: selenium asks several about each element."""
        script = """const [css, text] = arguments
            const shown = one => one.getClientRects().length && (one.innerText ?? one.textContent).includes(text)
            return [...document.querySelectorAll(css)].filter(shown)"""
        return self.run(script, css, text)  # type: ignore[no-any-return]

    def the(self, css: str, text: str = "") -> "WebElement":
        """The first of them."""
        return self.until(lambda: self.shown(css, text), f"{css} {text}")[0]

    def text(self, css: str) -> str:
        return str(self.run("return [...document.querySelectorAll(arguments[0])].map(one => one.textContent).join('\\n')", css))

    def says(self, css: str, text: str) -> None:
        self.until(lambda: text in self.text(css), f"“{text}” in {css}")

    def field(self, label: str) -> "WebElement":
        """The field of a label, exactly so or else beginning so, or one named so for screen readers."""
        script = """const name = arguments[0], same = text => text?.trim() === name
            const labels = [...document.querySelectorAll("label")]
            const label = labels.find(one => same(one.textContent)) ?? labels.find(one => one.textContent.trim().startsWith(name))
            return label?.control ?? [...document.querySelectorAll("[aria-label]")].find(one => same(one.ariaLabel))"""
        return self.until(lambda: self.run(script, label), f"the field {label}")  # type: ignore[no-any-return]

    def button(self, name: str, kind: str = "button, .button") -> "WebElement":
        """In the middle of the window: a page that scrolls softly is not there yet when selenium clicks."""
        script = """const [name, kind] = arguments
            const shown = one => one.getClientRects().length && name === (one.ariaLabel ?? one.textContent).trim()
            const found = [...document.querySelectorAll(kind)].find(shown)
            found?.scrollIntoView({block: "center", behavior: "instant"})
            return found"""
        return self.until(lambda: self.run(script, name, kind), f"the button {name}")  # type: ignore[no-any-return]

    @property
    def fits(self) -> bool:
        """Does nothing stick out at the side?"""
        return bool(self.run("return document.documentElement.scrollWidth <= innerWidth"))

    # --- what a user does ---------------------------------------------------------------------------

    def fill(self, label: str, text: str) -> None:
        field = self.field(label)
        field.clear()
        field.send_keys(text)

    def press(self, name: str) -> None:
        """A button that leads to another page, or to the same anew."""
        self.run("document.documentElement.dataset.old = 'yes'")
        self.button(name).click()
        self.until(lambda: self.run("return document.readyState === 'complete' && !document.documentElement.dataset.old"), "the next page")

    def keys(self, *keys: str) -> None:
        """Typed to whatever has the focus, or to the page."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def sign_in(self, name: str, password: str) -> None:
        self.open("/sign-in")
        self.fill("E-mail address", name)
        self.fill("Password", password)
        self.press("Sign in")

    def resize(self, width: int, height: int = 800) -> None:
        self.driver.set_window_size(width, height)
        self.until(lambda: self.run("return innerWidth") <= width, f"a window {width} wide")


@contextmanager
def webkit(server: Pillarbox) -> Iterator[Window]:
    """A browser of its own, in English, with a home that is thrown away."""
    from selenium.webdriver import WebKitGTK
    from selenium.webdriver.webkitgtk.options import Options
    from selenium.webdriver.webkitgtk.service import Service

    driver = program("WebKitWebDriver", "webkit2gtk-driver")
    if not MINI_BROWSER.exists():
        missing(str(MINI_BROWSER), "apt install webkit2gtk-driver")
    with tempfile.TemporaryDirectory(prefix="pillarbox-webkit-") as home, display() as screen:
        around = {"DISPLAY": screen, "HOME": home, "XDG_RUNTIME_DIR": home, "LANGUAGE": "en_GB", "LIBGL_ALWAYS_SOFTWARE": "1"}
        options = Options()
        options.binary_location = str(MINI_BROWSER)
        options.add_argument("--automation")
        options.accept_insecure_certs = True
        window = WebKitGTK(options=options, service=Service(executable_path=driver, env={**os.environ, **around}))
        try:
            window.set_script_timeout(PATIENCE_S)
            yield Window(window, f"https://localhost:{server.ports['https']}")
        finally:
            window.quit()


@contextmanager
def display() -> Iterator[str]:
    """An X server in memory, for programs of this user; its name."""
    read, write = os.pipe()
    words = [program("Xvfb", "xvfb"), "-displayfd", str(write), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(words, pass_fds=(write,), stderr=subprocess.DEVNULL)
    try:
        os.close(write)
        assert select.select([read], [], [], PATIENCE_S)[0], "Xvfb has not started"
        yield f":{int(os.read(read, 16))}"
    finally:
        server.terminate()
        server.wait()
        os.close(read)
