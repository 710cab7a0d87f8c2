"""What a screen is to a person who moves about in it: lines, keys, a chosen line; the nine are in `views`.

An Action is one message: its word on the line of keys, whether it changes something, and what it does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.control.requests import Request, Response
from appliance.status.snapshot import Snapshot

from . import screens_lists
from .keys import moved
from .screens_lists import ListGroup, ListItem
from .screens_text import TextLine, line, room

if TYPE_CHECKING:
    from .dialogue import Dialogue


@dataclass(frozen=True, slots=True)
class KeyAction:
    """`item`: it acts on the chosen line, and there has to be one."""

    key: str
    word: str
    act: "Callable[[Dialogue, Any], None]"
    changes: bool = False
    item: bool = False


class View:
    """Lines from the snapshot alone. `needs`: what is asked of the server when it is looked at; `trouble` why it did not come."""

    name = ""
    needs: Request | None = None
    actions: tuple[KeyAction, ...] = ()
    moves = False

    def __init__(self) -> None:
        self.answer: Response | None = None
        self.trouble = ""
        self._seen: object = None

    def enter(self) -> None:
        """Looked at anew."""

    def watched(self, s: Snapshot) -> object:
        """What of the snapshot makes the answer old when it changes."""
        return None

    def outdated(self, s: Snapshot) -> bool:
        return self.watched(s) != self._seen

    def asking(self, s: Snapshot) -> None:
        self._seen = self.watched(s)

    def take(self, answer: Response) -> None:
        self.answer = answer

    @property
    def wanting(self) -> str:
        """Why the answer it needs cannot be shown; "" when it can."""
        return self.trouble or ("One moment ..." if self.needs is not None and self.answer is None else "")

    def body(self, s: Snapshot, d: "Dialogue") -> list[TextLine]:
        raise NotImplementedError

    def hint(self, d: "Dialogue") -> str:
        """The line of keys."""
        moving = ["Up Down"] if self.moves else []
        return "  ".join([*moving, *(f"{_shown(one.key)} {one.word}" for one in self.available(d)), "? help"])

    def available(self, d: "Dialogue") -> Sequence[KeyAction]:
        return self.actions

    def chosen(self, d: "Dialogue") -> ListItem | None:
        return None

    def press(self, d: "Dialogue", key: str) -> bool:
        """Whether the key meant something here."""
        action = next((one for one in self.available(d) if one.key == key), None)
        if action is None:
            return False
        item = self.chosen(d)
        if action.item and item is None:
            d.message = "There is no line to choose."
        elif action.changes:
            d.changing(lambda: action.act(d, item))
        else:
            action.act(d, item)
        return True


def _shown(key: str) -> str:
    return key.capitalize() if len(key) > 1 else key


class ListView(View):
    """Groups of lines with one chosen; a chosen line stays chosen when the list moves under it, unless it is the first."""

    moves = True

    def __init__(self) -> None:
        super().__init__()
        self.selected = 0
        self._key = ""

    def enter(self) -> None:
        self.selected, self._key = 0, ""

    def groups(self, s: Snapshot) -> list[ListGroup]:
        raise NotImplementedError

    def _settle(self, items: Sequence[ListItem]) -> None:
        if self.selected and (self.selected >= len(items) or items[self.selected].key != self._key):
            self.selected = next((at for at, item in enumerate(items) if item.key == self._key), self.selected)
        self.selected = min(self.selected, max(0, len(items) - 1))
        self._key = items[self.selected].key if items else ""

    def body(self, s: Snapshot, d: "Dialogue") -> list[TextLine]:
        if self.wanting:
            return [line(self.wanting)]
        groups = self.groups(s)
        self._settle(screens_lists.items_of(groups))
        return screens_lists.list_body(groups, self.selected)

    def chosen(self, d: "Dialogue") -> ListItem | None:
        if self.needs is not None and self.answer is None:
            return None
        items = screens_lists.items_of(self.groups(d.board.snapshot()))
        self._settle(items)
        return items[self.selected] if items else None

    def press(self, d: "Dialogue", key: str) -> bool:
        step = moved(key, room() // 2, 10**6)
        if step is None:
            return super().press(d, key)
        if self.chosen(d) is not None:
            items = screens_lists.items_of(self.groups(d.board.snapshot()))
            self.selected = min(max(0, self.selected + step), len(items) - 1)
            self._key = items[self.selected].key
        return True


class ScrollView(View):
    """Ready lines that are moved over."""

    moves = True

    def __init__(self) -> None:
        super().__init__()
        self.offset = 0

    def enter(self) -> None:
        self.offset = 0

    def length(self, d: "Dialogue") -> int:
        raise NotImplementedError

    def press(self, d: "Dialogue", key: str) -> bool:
        step = moved(key, room() - 1, 10**6)
        if step is None:
            return super().press(d, key)
        self.offset = min(max(0, self.offset + step), max(0, self.length(d) - room()))
        return True
