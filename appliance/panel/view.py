"""A screen that the user moves about in: lines, keys, a selected line; the nine screens are in `views`.

A KeyAction is one key: its word on the line of keys, whether it changes something, and what it does to the dialogue,
which views know as the protocol `Interaction`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from appliance.control.requests import Request, Response
from appliance.mail.sentence import Sentence
from appliance.status.snapshot import Snapshot

from . import screens_lists
from .keys import moved
from .ports import SnapshotSource
from .screens_lists import ListGroup, ListItem
from .screens_text import Screen, TextLine, line

ONE_MOMENT = Sentence("One moment ...")


class Interaction(Protocol):
    """What a view uses of the dialogue it is shown in."""

    board: SnapshotSource
    screen: Screen
    message: str
    """The message line."""

    @property
    def notice(self) -> str:
        """A line for the first screen, or ""."""
        ...

    def show(self, title: str, text: str, *, secret: bool = False) -> None:
        """A page over the view; a `secret` one is removed when nobody is there any more."""
        ...

    def ask(self, label: str, then: Callable[[str], None], *, hidden: bool = False) -> None:
        """Have a text typed; `hidden` shows stars."""
        ...

    def confirm(self, text: str, then: Callable[[], None]) -> None:
        """Ask once before what cannot be undone."""
        ...

    def changing(self, then: Callable[[], None]) -> None:
        """`then`, after an administrator has signed in where that is required."""
        ...

    def request(self, request: Request, then: Callable[[Response], None] | None = None) -> None:
        """Send a request; without `then` the response is shown."""
        ...


@dataclass(frozen=True, slots=True)
class KeyAction:
    """`item`: it acts on the selected line, and there has to be one."""

    key: str
    word: str
    act: "Callable[[Interaction, Any], None]"
    changes: bool = False
    item: bool = False


class View:
    """Lines of the snapshot alone. `needs`: the request whose response it shows; `trouble`: why that did not come."""

    name = ""
    needs: Request | None = None
    actions: tuple[KeyAction, ...] = ()
    moves = False

    def __init__(self) -> None:
        self.response: Response | None = None
        self.trouble = ""
        self._seen: object = None

    def enter(self) -> None:
        """The user comes to it."""

    def watched(self, s: Snapshot) -> object:
        """The facts of the snapshot that make the response outdated when they change."""
        return None

    def outdated(self, s: Snapshot) -> bool:
        return self.watched(s) != self._seen

    def requested(self, s: Snapshot) -> None:
        self._seen = self.watched(s)

    def received(self, response: Response) -> None:
        self.response = response

    @property
    def missing(self) -> str:
        """Why the response it needs cannot be shown; "" when it can."""
        return self.trouble or (ONE_MOMENT if self.needs is not None and self.response is None else "")

    def body(self, s: Snapshot, d: Interaction) -> list[TextLine]:
        raise NotImplementedError

    def hint(self, d: Interaction) -> str:
        """The line of keys."""
        _ = d.screen.language
        moving = [_("Up Down")] if self.moves else []
        return "  ".join([*moving, *(f"{_shown(one.key)} {_(one.word)}" for one in self.available(d)), _("? help")])

    def available(self, d: Interaction) -> Sequence[KeyAction]:
        return self.actions

    def selected_item(self, d: Interaction) -> ListItem | None:
        return None

    def press(self, d: Interaction, key: str) -> bool:
        """Whether the key has a meaning here."""
        action = next((one for one in self.available(d) if one.key == key), None)
        if action is None:
            return False
        item = self.selected_item(d)
        if action.item and item is None:
            d.message = d.screen.language("There is no line to select.")
        elif action.changes:
            d.changing(lambda: action.act(d, item))
        else:
            action.act(d, item)
        return True


def _shown(key: str) -> str:
    return key.capitalize() if len(key) > 1 else key


class ListView(View):
    """Groups of lines with one selected; it stays selected when the list changes around it."""

    moves = True

    def __init__(self) -> None:
        super().__init__()
        self.selected = 0
        self._key = ""

    def enter(self) -> None:
        self.selected, self._key = 0, ""

    def groups(self, s: Snapshot, screen: Screen) -> list[ListGroup]:
        raise NotImplementedError

    def _follow(self, items: Sequence[ListItem]) -> None:
        if self.selected and (self.selected >= len(items) or items[self.selected].key != self._key):
            self.selected = next((at for at, item in enumerate(items) if item.key == self._key), self.selected)
        self.selected = min(self.selected, max(0, len(items) - 1))
        self._key = items[self.selected].key if items else ""

    def body(self, s: Snapshot, d: Interaction) -> list[TextLine]:
        if self.missing:
            return [line(d.screen.language(self.missing))]
        groups = self.groups(s, d.screen)
        self._follow(screens_lists.items_of(groups))
        return screens_lists.list_body(groups, self.selected, d.screen)

    def selected_item(self, d: Interaction) -> ListItem | None:
        if self.needs is not None and self.response is None:
            return None
        items = screens_lists.items_of(self.groups(d.board.snapshot(), d.screen))
        self._follow(items)
        return items[self.selected] if items else None

    def press(self, d: Interaction, key: str) -> bool:
        step = moved(key, d.screen.room // 2, 10**6)
        if step is None:
            return super().press(d, key)
        if self.selected_item(d) is not None:
            items = screens_lists.items_of(self.groups(d.board.snapshot(), d.screen))
            self.selected = min(max(0, self.selected + step), len(items) - 1)
            self._key = items[self.selected].key
        return True


class ScrollView(View):
    """Lines to scroll over."""

    moves = True

    def __init__(self) -> None:
        super().__init__()
        self.offset = 0

    def enter(self) -> None:
        self.offset = 0

    def length(self, d: Interaction) -> int:
        raise NotImplementedError

    def press(self, d: Interaction, key: str) -> bool:
        step = moved(key, d.screen.room - 1, 10**6)
        if step is None:
            return super().press(d, key)
        self.offset = min(max(0, self.offset + step), max(0, self.length(d) - d.screen.room))
        return True
