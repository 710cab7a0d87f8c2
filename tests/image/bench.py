"""What every step works with."""

from dataclasses import dataclass, field
from pathlib import Path

from .card import Card
from .machine import Machine, Startable
from .mail import SETTINGS


@dataclass(slots=True)
class Bench:
    """Where the steps work: the image, a folder, and how long this machine may take."""

    image: Path
    work: Path
    slowness: float = 1.0
    """Timeouts are multiplied by this."""
    cards: int = field(default=0)

    def card(self, settings: str = SETTINGS) -> Card:
        """A freshly flashed card, with the given settings file."""
        self.cards += 1
        card = Card(self.work / f"card-{self.cards}.img")
        card.flash(self.image)
        if settings:
            card.write_settings("pillarbox.toml", settings)
        return card

    def start(self, card: Startable, **options: object) -> Machine:
        self.cards += 1
        return Machine(card, self.work / f"m{self.cards}", **options)  # type: ignore[arg-type]

    def greeting(self, machine: Machine) -> float:
        return machine.wait_banner(400 * self.slowness)

    def switch_off(self, machine: Machine) -> None:
        """An orderly end."""
        machine.shell("systemctl --no-block poweroff")
        machine.wait_end(180 * self.slowness)
