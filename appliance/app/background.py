"""What the server looks at now and then while it runs: storage and host, nearly full mailboxes, removed accounts.

Looking writes nothing; only the mail of accounts removed long ago is erased.
"""

import os
from pathlib import Path

import trio

from appliance.accounts.states import KEPT_DAYS
from appliance.mail.limits import MB
from appliance.mail.sentence import Sentence
from appliance.status.events import ConditionFound, StorageState

from .components import Components

FULL_PERCENT = 95
"""From here on an account is said to be nearly full."""
FULL_NAMED = 20
"""Most accounts that are named."""
PURGE_LOOK_S = 3600.0
"""How often removed accounts are looked at; nothing is read from storage or written while none is due."""
HOST_LOOK_S = 60.0
"""How often free space and the host are looked at."""


def nearly_full(components: Components) -> tuple[str, ...]:
    """A sentence for each account that has used FULL_PERCENT of its space; FULL_NAMED at most."""
    found = []
    for account in components.accounts.directory.accounts():
        used, limit = components.store.quota(account.id)
        if limit and used >= limit:
            found.append(
                Sentence("The mailbox of %(address)s is full: new messages are deferred, bounces still arrive.", address=account.address)
            )
        elif limit and used * 100 >= limit * FULL_PERCENT:
            found.append(
                Sentence(
                    "The mailbox of %(address)s is nearly full: %(used)s of %(limit)s MB are used.",
                    address=account.address,
                    used=f"{used / MB:,.1f}",
                    limit=f"{limit / MB:,.1f}",
                )
            )
    return tuple(found[:FULL_NAMED])


async def purge_removed(components: Components) -> None:
    """Erase the mail of accounts that were removed long enough ago, and uploads that no client used in time."""
    while True:
        await components.store.uploads.expire()
        for account in await components.accounts.purge_expired(components.store.remove_mailboxes):
            await components.transfers.forget(account.id)
            components.journal.log(f"{account.address} was removed {KEPT_DAYS} days ago: the mail is erased now.")
        await trio.sleep(PURGE_LOOK_S)


def settings_faults(credentials: str) -> tuple[str, ...]:
    """What is wrong with the settings on the boot partition, from the directory of systemd's credentials; () where all is right."""
    try:
        with (Path(credentials) / "settings-faults").open("rb") as file:
            text = file.read(10_000).decode("utf-8", "replace") if credentials else ""
    except OSError:
        return ()
    return tuple(Sentence("The settings file is not used: %(line)s", line=line) for line in text.splitlines()[:FULL_NAMED])


async def watch_host(components: Components) -> None:
    """Publish the free space and the state of the host, for ever."""
    addresses: tuple[str, ...] | None = None
    full: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    consoles = components.settings.panel.console
    if wrong := settings_faults(os.environ.get("CREDENTIALS_DIRECTORY", "")):
        components.board.publish(ConditionFound("settings-error", wrong))
    while True:
        space = os.statvfs(components.directory.descriptor)
        mail = sum(components.store.quota(account.id)[0] for account in components.accounts.directory.accounts())
        free, total = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
        components.board.publish(StorageState(free, total, mail, components.host.worn_percent()))
        if full != (full := nearly_full(components)):
            components.board.publish(ConditionFound("mailbox-full", full))
        if consoles:
            others = await trio.to_thread.run_sync(_sharing, consoles)
            if shared != (shared := others):
                components.board.publish(ConditionFound("console-shared", shared))
        host = components.host.look()
        components.board.publish(host)
        if addresses != (addresses := host.addresses):
            components.journal.log(
                f"The addresses of this machine: {', '.join(addresses)}." if addresses else "This machine has no address: no network."
            )
        await trio.sleep(HOST_LOOK_S)


def _sharing(consoles: tuple[str, ...]) -> tuple[str, ...]:
    """A sentence for each program that uses a console's line as well."""
    from appliance.runtime.serial_line import others_on, sentences

    return tuple(sentence for device in consoles for sentence in sentences(device, others_on(device)))
