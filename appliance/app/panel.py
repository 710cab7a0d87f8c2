"""LEDs, button and serial console in the server: which parts the settings ask for, and what each is passed.

| settings                       | what runs                                                    |
|--------------------------------|--------------------------------------------------------------|
| LEDs, or a board with an LED    | LEDs, from before the database opens until the process ends |
| a button                       | the part "button"                                            |
| consoles                       | the part "console"; of several each "console DEVICE"         |
| none, tried out on a terminal  | LEDs and button drawn on it, on mock pins                    |
| none                           | nothing, and nothing is loaded                               |

How it fails: with a log line, and without the part that failed. The settings were checked when the file was read.
"""

import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import trio

import appliance.panel.service as service
from appliance.languages.catalogues import ENGLISH, Language, catalogue, in_ascii
from appliance.mail.sentence import Sentence
from appliance.runtime.memory import keep_for_good
from appliance.runtime.supervisor import Task

if TYPE_CHECKING:
    from appliance.config.settings import PanelSettings
    from appliance.panel.button import Actions
    from appliance.panel.led_display import LedDisplay
    from appliance.panel.ports import AdminSignIn

    from .admin_api import AdminApi
    from .components import Basics, Components
    from .console_access import OneTimePassword


CLOSED = Sentence("The server has stopped. The plug may be pulled.")


class Panel:
    """LEDs for the whole life of the process, button and console for the open server."""

    def __init__(self, outside: "Basics", settings: "PanelSettings", *, simulated: bool = False) -> None:
        self._outside, self._settings = outside, settings
        self._simulated = simulated and not (settings.leds or settings.button)
        self._lights: LedDisplay | None = None
        self._made_one_time: OneTimePassword | None = None
        self._language: Callable[[], Language] = lambda: ENGLISH
        """Of the console: the server's, once that is open."""
        if self._simulated or not service.has_leds(settings.leds):
            return
        self._lights = service.leds_task(
            outside.board,
            settings.leds,
            night=settings.night,
            night_percent=settings.night_percent,
            clock=outside.clock,
            log=outside.journal.log,
        )

    async def lights(self) -> None:
        """Run the LEDs until cancelled; no error of theirs leaves this."""
        if self._lights is not None:
            try:
                async with trio.open_nursery() as nursery:
                    await nursery.start(self._lights.run)
                    keep_for_good()
            except Exception as fault:  # whatever fails in an LED driver, mail goes on
                self._outside.journal.log(f"The LEDs failed and stay off: {fault!r}")

    async def farewell(self, *, stays: bool) -> None:
        """Say on the console that the server has shut down; where it `stays`, the LEDs show it until a signal ends the process."""
        for device in self._settings.console:
            await service.send_last_line(device, self._settings.console_baud, in_ascii(self._language())(CLOSED))
        if stays:
            self._outside.journal.log(CLOSED)
        if stays and self._lights is not None:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                async for _ in signals:
                    return

    def parts(self, components: "Components", admin_api: "Callable[[], AdminApi]") -> list[Task]:
        """The parts that run while the server is open."""
        settings, clock, log = self._settings, self._outside.clock, self._outside.journal.log
        self._language = lambda: catalogue(components.accounts.directory.language_of())
        found = []
        if self._simulated:
            run = partial(service.simulated, components.board, self._actions(components, admin_api), clock=clock, log=log)
            found.append(Task("simulated panel", run))
        if settings.button:
            hear = partial(
                service.watch_button,
                settings.button,
                self._actions(components, admin_api),
                pull_up=settings.button_pull_up,
                clock=clock,
                log=log,
            )
            found.append(Task("button", hear))
        for device in settings.console:
            attend = partial(
                service.console,
                device,
                settings.console_baud,
                components.board,
                admin_api(),
                self._console_access(components) if settings.console_password else None,
                language=self._language,
                log=log,
            )
            found.append(Task("console" if len(settings.console) == 1 else f"console {device}", attend))
        return found

    def _actions(self, components: "Components", admin_api: "Callable[[], AdminApi]") -> "Actions":
        from appliance.control.requests import FlushQueue, ShutDown  # 40 dataclasses, which a server without a panel does not load

        def show() -> None:
            if self._lights is not None:
                self._lights.show()

        async def try_now() -> None:
            show()
            await admin_api().ask(FlushQueue())

        async def password() -> None:
            show()
            self._one_time().make()
            components.board.touch()

        return service.actions_of(try_now, lambda: admin_api().ask(ShutDown()), password)

    def _console_access(self, components: "Components") -> "AdminSignIn":
        """What the console asks for before it changes anything."""
        from .console_access import ConsoleAccess

        return ConsoleAccess(components.accounts, components.login, components.second_factors, self._one_time(), components.setup_code)

    def _one_time(self) -> "OneTimePassword":
        if self._made_one_time is None:
            from .console_access import OneTimePassword

            self._made_one_time = OneTimePassword()
        return self._made_one_time
