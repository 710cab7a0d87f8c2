"""Read the settings file, check it against the settings' own fields, and explain what is wrong.

A text that is not TOML is one fault with its line; otherwise all wrong settings are reported together, each with the line of
its key, what is wrong and the remedy. Nothing is guessed and nothing is taken in part: any fault means no settings.
"""

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any

from appliance.mail.address import parse_domain
from appliance.mail.errors import MisuseError, SetupError
from appliance.mail.protocols import PROTOCOL_NAMES
from appliance.mail.sentence import Sentence, joined

from .panel_rules import panel_faults
from .relay_rules import relay_faults
from .settings import CertificateSettings, ServerSettings, Settings, arrays, default_of, explained, sections
from .settings_lines import Path as KeyPath
from .settings_lines import lines_of

LARGEST_OCTETS = 1 << 20
"""A settings file is a page or two; a megabyte is a mistake."""

NOTHING: Mapping[str, Any] = MappingProxyType({})
_KINDS = MappingProxyType(
    {
        bool: Sentence("It must be true or false."),
        int: Sentence("It must be a whole number."),
        str: Sentence('It must be text in quotes, like "this".'),
        tuple: Sentence('It must be text in quotes or a list, like ["this", "that"].'),
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: its line (0 when it has none), the sentence and the remedy; `field`: of its section, when it is a value."""

    line: int
    problem: str
    remedy: str
    field: str = ""

    @property
    def text(self) -> str:
        """All of it, in one or two sentences."""
        where = Sentence("line %(line)s:", line=self.line) if self.line else ""
        return joined(where, self.problem, self.remedy)

    def __str__(self) -> str:
        return str(self.text)


class SettingsError(SetupError):
    """The file cannot be used; `faults` names everything wrong in it."""

    def __init__(self, name: str, faults: tuple[Fault, ...]) -> None:
        if len(faults) == 1:
            count: str = Sentence("%(name)s: one thing is wrong.", name=name)
        else:
            count = Sentence("%(name)s: %(number)s things are wrong.", name=name, number=len(faults))
        super().__init__(joined(count, *(fault.text for fault in faults), by="\n  "))
        self.faults = faults


def read(path: Path) -> Settings:
    """The settings of a file; raises SettingsError, or SetupError when it cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_OCTETS + 1)  # a device has no end
    except OSError as error:
        raise SetupError(
            Sentence("The settings file %(path)s cannot be read: %(strerror)s.", path=path, strerror=error.strerror),
            "Check the name, or leave --settings out to use the defaults.",
        ) from error
    return parse(raw, str(path))


def parse(raw: bytes, name: str) -> Settings:
    """Settings from the octets of a TOML file called `name` in messages."""
    return check_tree(*read_tree(raw, name), name)[0]


def read_tree(raw: bytes, name: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """The octets of a TOML file as dicts, and the line of each key. Raises SettingsError."""
    import tomllib  # only when there is a file: the defaults serve without it

    if len(raw) > LARGEST_OCTETS:
        problem = Sentence("The file has more than %(most)s octets.", most=f"{LARGEST_OCTETS:,}")
        raise SettingsError(name, (Fault(0, problem, "A settings file is small: is it the right one?"),))
    try:
        text = raw.decode("utf-8-sig")  # some editors begin a file with U+FEFF
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError(name, (Fault(line, "These characters are not UTF-8.", "Save the file as UTF-8 text."),)) from error
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(name, (_syntax_fault(text, str(error)),)) from error
    except RecursionError as error:
        raise SettingsError(name, (Fault(0, "Brackets are nested too deeply.", "No setting needs that."),)) from error
    return tree, lines_of(text)


def _syntax_fault(text: str, message: str) -> Fault:
    """The reader's "... (at line L, column C)" with the line in front; "at end of document" is the last line."""
    sentence, _, place = message.rpartition(" (at ")
    digits = "".join(c if c.isdigit() else " " for c in place).split()
    line = int(digits[0]) if digits else text.rstrip("\n").count("\n") + 1
    shown = text.splitlines()[line - 1].strip()[:60] if line <= len(text.splitlines()) else ""
    remedy = (
        Sentence("A section is [NAME] on a line of its own.")
        if shown.startswith("[")
        else Sentence("Write it as NAME = VALUE, with text in quotes.")
    )
    said_by_tomllib = f"{sentence or message}{shown and f': {shown}'}."
    return Fault(line, said_by_tomllib, remedy)


def check_tree(
    tree: dict[str, Any], lines: dict[KeyPath, int], name: str, beside: Mapping[str, Any] = NOTHING
) -> tuple[Settings, dict[str, Any]]:
    """The server's settings of a tree, and those of the sections `beside` (name to dataclass) by their names. Raises SettingsError."""
    faults: list[Fault] = []
    known, several = {**dict(sections()), **beside}, dict(arrays())
    made: dict[str, Any] = {}
    for key, value in tree.items():
        line = lines.get((key,), 0)
        if key in several:
            made[key] = _array(key, several[key], value, lines, faults)
        elif key not in known:
            homes = [section for section, cls in known.items() if key in {f.name for f in explained(cls)}]
            remedy = Sentence("It belongs below [%(homes)s].", homes=homes[0]) if homes else _nearest(key, [*known, *several], "section")
            faults.append(Fault(line, Sentence('There is no section "%(key)s".', key=key), remedy))
        elif not isinstance(value, dict):
            faults.append(
                Fault(
                    line,
                    Sentence('"%(key)s" is a section, not a setting.', key=key),
                    Sentence("Write [%(key)s] on a line of its own and its settings below.", key=key),
                )
            )
        else:
            made[key] = _section(key, known[key], value, lines, faults)
    for key, problem in _name_faults(made.get("server")):
        remedy = Sentence("Write a name like example.org, with a dot and no blanks.")
        faults.append(Fault(lines.get(("server", key), 0), Sentence('"server.%(key)s" %(problem)s', key=key, problem=problem), remedy, key))
    certificate: CertificateSettings | None = made.get("certificate")
    if certificate and bool(certificate.file) != bool(certificate.key):
        missing, given = ("key", "file") if certificate.file else ("file", "key")
        faults.append(
            Fault(
                lines.get(("certificate", given), 0),
                Sentence('"certificate.%(given)s" is set without "certificate.%(missing)s".', given=given, missing=missing),
                "Set both, or neither.",
            )
        )
    for number, key, problem, remedy in relay_faults(made.get("relay", ())):
        line = lines.get(("relay", number, key), lines.get(("relay", number), 0))
        faults.append(Fault(line, Sentence('"relay.%(key)s" %(problem)s', key=key, problem=problem), remedy, key))
    if panel := made.get("panel"):
        for key, sentence in panel_faults(panel.leds, panel.night, panel.button):
            faults.append(
                Fault(
                    lines.get(("panel", key), 0),
                    Sentence('"panel.%(key)s": %(sentence)s', key=key, sentence=sentence),
                    "See: pillarbox settings example",
                    key,
                )
            )
    if faults:
        raise SettingsError(name, tuple(sorted(faults, key=lambda fault: fault.line)))
    others = {key: made.pop(key) for key in beside if key in made}
    return Settings(**made), others


def _name_faults(server: ServerSettings | None) -> Iterator[tuple[str, str]]:
    """(setting, what is wrong) of the names the server gives itself."""
    for key, value in (("domain", server.domain), ("host_name", server.host_name)) if server else ():
        try:
            name = parse_domain(value.strip().removesuffix(".")) if value else ""
            bad = name.startswith("[") or "_" in name or name.rpartition(".")[2].isdigit()  # RFC 1123 §2.1
        except MisuseError:
            bad = True
        if bad:
            yield key, Sentence("is %(value)s, which is not a domain name.", value=_shown(value))


def _array(name: str, cls: Any, tables: Any, lines: dict[KeyPath, int], faults: list[Fault]) -> tuple[Any, ...]:
    """The tables below each [[name]]."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(
            Fault(
                lines.get((name,), 0),
                Sentence('"%(name)s" is a list of tables.', name=name),
                Sentence("Write [[%(name)s]] on a line of its own.", name=name),
            )
        )
        return ()
    return tuple(_section(name, cls, table, lines, faults, number) for number, table in enumerate(tables))


def _section(name: str, cls: Any, table: dict[str, Any], lines: dict[KeyPath, int], faults: list[Fault], number: int | None = None) -> Any:
    known = {one.name: one for one in explained(cls)}
    good: dict[str, Any] = {}
    here: KeyPath = (name,) if number is None else (name, number)
    for key, value in table.items():
        line = lines.get((*here, key), 0)
        if key not in known:
            faults.append(
                Fault(line, Sentence('[%(name)s] has no setting "%(key)s".', name=name, key=key), _nearest(key, list(known), "setting"))
            )
            continue
        fault = _fault(known[key], value)
        if fault:
            faults.append(Fault(line, Sentence('"%(name)s.%(key)s" %(fault)s', name=name, key=key, fault=fault[0]), fault[1], key))
        elif isinstance(default_of(known[key]), tuple):
            good[key] = tuple([value] if isinstance(value, str) else value) if value else ()
            if (name, key) == ("sending", "name_servers") and not all(map(_is_dns_server, good[key])):
                faults.append(
                    Fault(
                        line,
                        Sentence('"%(name)s.%(key)s" has a wrong address.', name=name, key=key),
                        'Write "192.0.2.53", or "192.0.2.53#5353" with a port.',
                        key,
                    )
                )
            for n, address in enumerate(good[key]):
                wrong = address_fault(address) if name == "listen" else ""
                if wrong:
                    faults.append(
                        Fault(
                            lines.get((name, key, n), line),
                            Sentence('"%(name)s.%(key)s" %(wrong)s', name=name, key=key, wrong=wrong),
                            'Write "HOST:PORT", for example "*:25" or "[::1]:25".',
                            key,
                        )
                    )
        else:
            good[key] = value
    return cls(**good)


def _fault(one: "Field[Any]", value: Any) -> tuple[str, str] | None:
    """(what is wrong, remedy) of one value, or None."""
    default = default_of(one)
    kind = type(default)
    if kind is tuple:
        right = isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value))
    else:
        right = type(value) is kind
    if not right:
        return Sentence("is %(value)s.", value=_shown(value) if one.repr else Sentence("something else")), _KINDS[kind]
    words, least, most = one.metadata["words"], one.metadata["least"], one.metadata["most"]
    if words and value not in words:
        return Sentence("is %(value)s.", value=_shown(value)), Sentence("It must be one of: %(words)s.", words=", ".join(words))
    if least is not None and value < least:
        return Sentence("is %(value)s.", value=value), Sentence("The least is %(least)s.", least=least)
    if most is not None and value > most:
        return Sentence("is %(value)s.", value=value), Sentence("The most is %(most)s.", most=most)
    if isinstance(value, str) and any(ord(c) < 32 for c in value):
        return Sentence("has control characters."), Sentence("Use plain text.")
    return None


def _is_dns_server(text: str) -> bool:
    address, _, port = text.partition("#")
    try:
        ip_address(address)
    except ValueError:
        return False
    return not port or (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536)


def address_fault(address: str) -> str:
    """What is wrong with a "HOST:PORT"; "" when nothing is."""
    host, colon, port = address.rpartition(":")
    if not colon or not host:
        return Sentence('says "%(address)s", which has no host and port.', address=address)
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        return Sentence('says "%(address)s", whose port is not a number up to 65535.', address=address)
    if host.count(":") and not (host.startswith("[") and host.endswith("]")):
        return Sentence('says "%(address)s": an IPv6 address stands in square brackets.', address=address)
    return ""


def parse_listen(words: list[str]) -> dict[str, tuple[str, ...]]:
    """The values of `--listen`, each `NAME=HOST:PORT`; raises SetupError for the first that is wrong."""
    out: dict[str, tuple[str, ...]] = {}
    for word in words:
        protocol, equals, where = word.partition("=")
        if not equals or protocol not in PROTOCOL_NAMES:
            raise SetupError(
                Sentence('"--listen %(word)s" names no protocol.', word=word),
                Sentence("Write NAME=HOST:PORT with one of: %(names)s.", names=", ".join(PROTOCOL_NAMES)),
            )
        wrong = address_fault(where)
        if wrong:
            raise SetupError(
                Sentence('"--listen %(protocol)s" %(wrong)s', protocol=protocol, wrong=wrong),
                "Write NAME=HOST:PORT, for example imaps=0.0.0.0:993.",
            )
        out[protocol] = (*out.get(protocol, ()), where)
    return out


def _nearest(word: str, among: list[str], label: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, among, 1)
    if near:
        return Sentence('Did you mean "%(near)s"?', near=near[0])
    if label == "section":
        return Sentence("The sections are: %(names)s.", names=", ".join(among))
    return Sentence("The settings are: %(names)s.", names=", ".join(among))


def _shown(value: Any) -> str:
    text = "true" if value is True else "false" if value is False else f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
