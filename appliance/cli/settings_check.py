"""`pillarbox settings check`: the settings file, and whether the files that it names can be used now."""

import ssl
from pathlib import Path

from appliance.config.settings import CertificateSettings, Settings
from appliance.config.settings_file import Fault, SettingsError, read
from appliance.config.settings_lines import Path as KeyPath
from appliance.config.settings_lines import lines_of
from appliance.config.time_zone import check_time_zone
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence
from appliance.network.tls_end import require_close_notify


def check_settings(path: Path, *, boot: bool = False) -> Settings:
    """`read`, and whether the files that the settings name can be read now; `serve` can do without some. Raises SettingsError.

    `boot`: it is the file of a card's boot partition, which says something about the box as well.
    """
    settings = read_boot(path) if boot else read(path)
    lines = lines_of(path.read_text(encoding="utf-8-sig"))
    own = settings.certificate
    named: list[tuple[KeyPath, str]] = [(("certificate", "file"), own.file), (("certificate", "key"), own.key)]
    for number, relay in enumerate(settings.relay):
        named += [(("relay", number, key), getattr(relay, key)) for key in ("password_file", "token_file")]
    faults = []
    for where, name in named:
        if name and (reason := _unreadable(Path(name))):
            problem = Sentence(
                '"%(where)s.%(where_2)s" names %(name)s: %(reason)s.', where=where[0], where_2=where[-1], name=name, reason=reason
            )
            faults.append(Fault(lines.get(where, 0), problem, "Check the name, and who may read it."))
    if own.file and not faults and not _belong_together(own):
        problem = Sentence("%(file)s and %(key)s are not a certificate and its key.", file=own.file, key=own.key)
        faults.append(Fault(lines.get(("certificate", "file"), 0), problem, "Name PEM files that belong together, without a pass phrase."))
    try:
        check_time_zone(settings.server.time_zone)
    except SetupError as error:
        faults.append(Fault(lines.get(("server", "time_zone"), 0), error.problem, error.remedy))
    if faults:
        raise SettingsError(str(path), tuple(faults))
    return settings


def read_boot(path: Path) -> Settings:
    """The server's settings of a file of the boot partition, whose section [box] is checked as well. Raises SettingsError."""
    from appliance.system.box_settings import parse

    try:
        return parse(path.read_bytes(), str(path)).server
    except OSError as error:
        raise SetupError(
            Sentence("The settings file %(path)s cannot be read: %(strerror)s.", path=path, strerror=error.strerror), "Check the name."
        ) from error


def _belong_together(own: CertificateSettings) -> bool:
    try:
        require_close_notify(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)).load_cert_chain(own.file, own.key, password=lambda: "")
    except (OSError, ValueError):
        return False
    return True


def _unreadable(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return (error.strerror or str(error)).rstrip(".")
    return ""
