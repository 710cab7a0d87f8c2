"""mail/protocols: the table is consistent, and a row more is a listener more, everywhere."""

import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from appliance.config.settings import explained, listen_section
from appliance.dns_setup.records import DomainFacts, records
from appliance.mail.protocols import GREETINGS, PROTOCOLS, ProtocolRow, protocol, service_name
from tests.support.server import ROOT, environment, free_ports, new_data, pillarbox

EXTRA = ProtocolRow("imapextra", 1993, 3993, True, "imap", "always", "A listener of this test.", "_imapextra", "read, extra")


def test_names_ports_and_labels_are_unique() -> None:
    for column in ("name", "port", "trial_port"):
        values = [getattr(row, column) for row in PROTOCOLS]
        assert len(set(values)) == len(values), column
    labels = [row.srv for row in PROTOCOLS if row.srv]
    assert len(set(labels)) == len(labels)
    assert {row.service for row in PROTOCOLS} == set(GREETINGS) and all(row.trial_port > 1024 for row in PROTOCOLS)


def test_the_table_is_asked_by_name() -> None:
    assert protocol("imaps").port == 993 and protocol("imaps").implicit_tls
    assert service_name("submissions") == "SMTP" and service_name("gopher") == "GOPHER"


def test_a_row_more_is_a_setting_and_a_dns_record_more() -> None:
    made = listen_section((*PROTOCOLS, EXTRA))()
    assert made.addresses("imapextra") == ("127.0.0.1:3993",) and made.addresses("smtp") == ("127.0.0.1:2525",)
    assert [one.name for one in explained(type(made))] == [*(row.name for row in PROTOCOLS), "imapextra"]
    facts = DomainFacts("home.example", "mail.home.example", services=(("imapextra", 1993),))
    (record,) = [one for one in records(facts, (*PROTOCOLS, EXTRA)) if one.kind == "SRV"]
    assert (record.name, record.value) == ("_imapextra._tcp.home.example", "0 1 1993 mail.home.example.")


SERVE = """
import sys
from dataclasses import replace
from pathlib import Path
import appliance.mail.protocols as table
table.PROTOCOLS = (*table.PROTOCOLS, table.ProtocolRow(%r, 1993, 3993, True, "imap", "always", "x", "_x", "x"))
table.PROTOCOL_NAMES = tuple(row.name for row in table.PROTOCOLS)
table.IMPLICIT_TLS = tuple(row.name for row in table.PROTOCOLS if row.implicit_tls)
from appliance.app.server import serve
from appliance.config.settings import LISTEN_SECTION, Settings
from appliance.config.settings_file import parse_listen
listen = {**dict.fromkeys(table.PROTOCOL_NAMES, ()), **parse_listen([sys.argv[2]])}
serve(Path(sys.argv[1]), replace(Settings(), listen=LISTEN_SECTION(**listen)))
"""


def test_a_row_more_is_served_and_checked(tmp_path: Path) -> None:
    """TLS, greeting, status and the port check of a listener that exists only in a row added here."""
    data, (port,) = new_data(tmp_path / "data", "ada"), free_ports(1)
    words = [sys.executable, "-c", SERVE % EXTRA.name, str(data), f"{EXTRA.name}=127.0.0.1:{port}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment(), cwd=ROOT) as server:
        try:
            assert server.stdout and server.stdout.readline() == b"ready\n"
            context = ssl.create_default_context(cadata=pillarbox("certificate", "export", data=data).stdout)
            with socket.create_connection(("127.0.0.1", port), 30) as plain, context.wrap_socket(plain, server_hostname="localhost") as tls:
                assert tls.recv(4096).startswith(b"* OK")
            status = json.loads(pillarbox("status", "--json", data=data).stdout)
            assert [one["protocol"] for one in status["listeners"]] == [EXTRA.name]
            found = json.loads(pillarbox("network", "check", "--json", data=data).stdout)["findings"]
            assert [one["state"] for one in found if one["service"] == EXTRA.name] == ["open"]
        finally:
            server.terminate()
