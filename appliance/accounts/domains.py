"""Domains and addresses as typed by an administrator: parsed, checked, refused with a remedy.

Rules: a domain or address is refused before anything is written; what is kept is the one form all others are
compared in (`mail.address`). How it fails: SetupError.
"""

from collections.abc import Iterable

from appliance.mail.address import Address, parse_address, parse_domain
from appliance.mail.errors import MisuseError, SetupError
from appliance.mail.sentence import Sentence

from .directory import Account, DirectoryTables, fold, key_of


def read_domain(text: str) -> str:
    """A domain a server can have. Raises SetupError."""
    try:
        domain = parse_domain(text.strip().removesuffix("."))
    except MisuseError:
        raise SetupError(Sentence("“%(text)s” is not a domain name.", text=text), "Write it like example.org.") from None
    if domain.startswith("[") or domain.rpartition(".")[2].isdigit():  # RFC 1123 §2.1: the last label of a name is never digits alone
        raise SetupError("An IP address cannot be a domain of the server.", "Write a name like example.org.")
    return domain


def read_address(text: str, field: str = "") -> Address:
    """An address as typed. Raises SetupError; `field`: which of a form it is."""
    try:
        return parse_address(text.strip())
    except MisuseError as e:
        problem = Sentence("“%(text)s” is not a mail address: %(e)s.", text=text, e=e.args[0])
        raise SetupError(problem, "Write it like anna@example.org.", field) from None


def expect_domain(tables: DirectoryTables, domain: str) -> None:
    """Raises SetupError when it is not one of the server's."""
    if domain not in tables.domains:
        known = ", ".join(tables.domains) or Sentence("none yet")
        raise SetupError(
            Sentence("%(domain)s is not a domain of this server (%(known)s).", domain=domain, known=known),
            Sentence("To add it: pillarbox domain add %(domain)s", domain=domain),
        )


def expect_account(tables: DirectoryTables, text: str) -> Account:
    """The account of that address, or of that local part where only one has it. Raises SetupError."""
    account = tables.by_address.get(key_of(read_address(text))) if "@" in text else tables.by_local.get(fold(text.strip()))
    if account is None:
        raise SetupError(Sentence("There is no account %(text)s here.", text=text), "See the accounts: pillarbox account list")
    return tables.accounts[account]


def expect_free(tables: DirectoryTables, address: Address) -> None:
    """Raises SetupError when an account or an alias has the address."""
    key = key_of(address)
    if key in tables.removed:
        fault = Sentence("%(address)s was removed and its mail is still kept.", address=address)
        raise SetupError(
            fault,
            Sentence(
                "Restore it with: pillarbox account restore %(address)s. Or erase it first: account remove %(address)s --purge",
                address=address,
            ),
        )
    if key in tables.by_address:
        raise SetupError(
            Sentence("There is an account %(address)s already.", address=address),
            "Choose another address, or change the password: pillarbox account password",
        )
    if key in tables.aliases:
        raise SetupError(
            Sentence("%(address)s is an alias already.", address=address),
            Sentence("Remove it first: pillarbox alias remove %(address)s", address=address),
        )


def expect_empty(tables: DirectoryTables, domain: str) -> None:
    """Raises SetupError while accounts or aliases are in the domain."""
    ending = f"@{domain}"

    def there(keys: Iterable[str]) -> list[str]:
        return [key for key in keys if key.endswith(ending)]

    if accounts := there(tables.by_address):
        fault = Sentence("%(domain)s has accounts: %(accounts)s.", domain=domain, accounts=_some(accounts))
        raise SetupError(fault, "Give them another address, mail and all: pillarbox account rename OLD NEW")
    if aliases := there(tables.aliases):
        if len(aliases) == 1:
            fault = Sentence("%(domain)s has an alias: %(alias)s.", domain=domain, alias=aliases[0])
            raise SetupError(fault, "Remove it first: pillarbox alias remove ADDRESS")
        fault = Sentence("%(domain)s has aliases: %(aliases)s.", domain=domain, aliases=_some(aliases))
        raise SetupError(fault, "Remove them first: pillarbox alias remove ADDRESS")


def _some(names: list[str]) -> str:
    first = ", ".join(names[:3])
    return Sentence("%(names)s and %(number)s more", names=first, number=len(names) - 3) if len(names) > 3 else first
