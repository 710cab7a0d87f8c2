"""Admin requests about the settings file: what it says, and changes to it.

The file is the one the server was started with, or `pillarbox.toml` in the data directory. A change names the digest of the file
as it was shown: one that somebody changed meanwhile is told, not overwritten. Secrets are written and never shown.
What was changed takes effect at once (`live_settings`) or with the next start.
"""

from collections.abc import Callable
from typing import Any

import trio

from appliance.config import settings_edit
from appliance.config.settings import LISTEN_SECTION, RelaySettings, Settings, default_of, explained
from appliance.config.settings_file import SettingsError
from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.mail.errors import NotRunningError, SetupError
from appliance.mail.sentence import Sentence
from appliance.runtime.atomic_file import write_whole
from appliance.runtime.supervisor import Ending

from .admin_request import Answers, Running
from .components import Components

CHANGED = Sentence("The settings file was changed meanwhile.")


class SettingsRequests:
    """Answers what is asked about the settings; one change at a time."""

    def __init__(self, components: Components, running: Running | None = None) -> None:
        self._running = running
        self._file = components.settings_file or components.directory.path / settings_edit.NAME
        self._changing = running.trial.changing if running and running.trial else trio.Lock()

    def answers(self) -> Answers:
        return (
            (controls.ShowSettings, self.show),
            (controls.ChangeSettings, self.change),
            (controls.SetRelay, self.set_relay),
            (controls.RemoveRelay, self.remove_relay),
            (controls.ChangeListeners, self.change_listeners),
            (controls.ConfirmListeners, self.confirm_listeners),
        )

    async def show(self, request: controls.ShowSettings) -> Response:
        text = self._text()
        settings = settings_edit.settings_in(text)
        found = [
            {"name": name, "fields": [self._shown(getattr(settings, name), one) for one in fields]}
            for name, _cls, fields in settings_edit.editable()
        ]
        shown = [one for one in explained(RelaySettings) if one.repr]
        relays = [{one.name: self._plain(relay, one.name) for one in shown} | {"secret": bool(relay.password)} for relay in settings.relay]
        facts: dict[str, Any] = {"file": str(self._file), "digest": settings_edit.digest_of(text), "sections": found, "relays": relays}
        editable = [one for one in shown if settings_edit.is_editable("relay", one.name)]
        facts["relay_fields"] = [self._shown(RelaySettings(), one) for one in editable]
        trial = self._running.trial if self._running else None
        facts |= {
            "listeners": [self._shown(settings.listen, one) for one in explained(LISTEN_SECTION)],
            "trial_s": trial.left_s if trial else 0,
            "trial": trial.id if trial else "",
        }
        facts["restart_needed"] = self._is_waiting(settings)
        return Response(text or Sentence("%(file)s is not there: every setting has its default.", file=self._file), facts)

    def _is_waiting(self, settings: Settings) -> bool:
        """Whether something of the file takes effect with the next start only."""
        live = self._running.live if self._running else None
        return live is not None and live.waiting(settings)

    def _shown(self, section: Any, one: Any) -> dict[str, Any]:
        meta, default = one.metadata, default_of(one)
        return {
            "name": one.name,
            "text": meta["text"],
            "kind": type(default).__name__,
            "value": self._plain(section, one.name),
            "default": list(default) if isinstance(default, tuple) else default,
            "words": list(meta["words"]),
            "least": meta["least"],
            "most": meta["most"],
            "lines": meta["lines"],
        }

    @staticmethod
    def _plain(section: Any, name: str) -> Any:
        value = getattr(section, name)
        return list(value) if isinstance(value, tuple) else value

    async def change(self, request: controls.ChangeSettings) -> Response:
        fields = {one.name: one for name, _cls, some in settings_edit.editable() if name == request.section for one in some}
        if not fields or not request.values.keys() <= fields.keys():
            raise SetupError("These settings are changed in the file only.", Sentence("Edit %(file)s.", file=self._file))
        values = {key: settings_edit.typed_value(fields[key], str(typed)) for key, typed in request.values.items()}

        def change(text: str) -> str:
            now = getattr(settings_edit.settings_in(text), request.section)
            return settings_edit.edited(text, request.section, {key: value for key, value in values.items() if getattr(now, key) != value})

        return await self._write(request.digest, change)

    async def set_relay(self, request: controls.SetRelay) -> Response:
        known = {one.name: one for one in explained(RelaySettings) if settings_edit.is_editable("relay", one.name)}
        values = {key: settings_edit.typed_value(known[key], str(typed)) for key, typed in request.values.items() if key in known}
        return await self._write(request.digest, lambda text: settings_edit.with_relay(text, values))

    async def remove_relay(self, request: controls.RemoveRelay) -> Response:
        return await self._write(request.digest, lambda text: settings_edit.without_relay(text, request.name))

    async def change_listeners(self, request: controls.ChangeListeners) -> Response:
        """Written with a note of the text before, so that the next start goes back by itself."""
        running = self._running
        if running is None or running.trial is None:
            raise NotRunningError("No server is running.", "Start it with: pillarbox serve")
        known = {one.name: one for one in explained(LISTEN_SECTION)}
        if not request.values.keys() <= known.keys():
            raise SetupError("There is no such listener.", "Open the page again.")
        values = {key: settings_edit.typed_value(known[key], typed) for key, typed in request.values.items()}

        def change(text: str) -> str:
            now = settings_edit.settings_in(text).listen
            return settings_edit.edited(text, "listen", {key: value for key, value in values.items() if getattr(now, key) != value})

        answer = await self._write(request.digest, change, running.trial.begin)
        if not answer.facts["changed"]:
            return answer
        running.stop(Ending.RESTART)
        sentence = "The server restarts and listens anew. Confirm it within a minute, or the settings before are back."
        return Response(sentence, answer.facts)

    async def confirm_listeners(self, request: controls.ConfirmListeners) -> Response:
        trial = self._running.trial if self._running else None
        if trial is None or not await trial.confirm(request.trial):
            raise SetupError("These listeners are not on trial any more.", "Look at the settings: they are as they are.")
        return Response("The new listeners stay.")

    async def _write(self, digest: str, change: Any, begin: Callable[[str, str], None] | None = None) -> Response:
        """`begin(before, changed)` is done first, in the thread that writes."""
        async with self._changing:
            text = self._text()
            if digest and digest != settings_edit.digest_of(text):
                raise SetupError(CHANGED, "Look at it once more, and make your change again.")
            try:
                changed = change(text)
            except SettingsError as error:
                first = error.faults[0]
                raise SetupError(first.problem, first.remedy, first.field) from error
            if changed != text:
                try:
                    if begin is not None:
                        await trio.to_thread.run_sync(begin, text, changed)
                    await trio.to_thread.run_sync(write_whole, self._file, changed.encode())
                except OSError as error:
                    remedy = Sentence("On a box of its own it is made from the files of the boot partition: change those.")
                    raise SetupError(
                        Sentence("The settings file %(file)s cannot be written: %(strerror)s.", file=self._file, strerror=error.strerror),
                        remedy,
                    ) from error
            settings = settings_edit.settings_in(changed)
            if changed != text and self._running and self._running.live:
                self._running.live.apply(settings)
        waiting = self._is_waiting(settings)
        facts = {"changed": changed != text, "digest": settings_edit.digest_of(changed), "restart_needed": waiting}
        in_use = "The settings are changed and in use." if self._running else "The settings are changed."
        return Response("The settings are changed. They take effect when the server is started again." if waiting else in_use, facts)

    def _text(self) -> str:
        try:
            return self._file.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(Sentence("The settings file %(file)s cannot be read.", file=self._file), "Check who may read it.") from error
