"""certificates/certificates: made, verified strictly by OpenSSL and Python, name constraints, renewal."""

import hashlib
import os
import shutil
import ssl
import stat
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio

from appliance.certificates.certificates import LOOK_S, OwnCertificates, export, show
from appliance.certificates.contents import (
    AUTHORITY,
    DAY_S,
    FORMER,
    SERVER,
    UNTRUSTED,
    WantedCertificate,
    due,
    is_private,
    not_before_at,
    wanted,
)
from appliance.certificates.maker import make, make_server
from appliance.mail.errors import SetupError
from appliance.network.x509 import CertificateDetails, parse_certificate
from appliance.runtime.atomic_file import write_whole
from appliance.runtime.clock import BUILT_AT
from appliance.runtime.host import host_addresses
from appliance.status.board import Board
from appliance.status.events import CertificateTrouble, ConditionFound, Event
from tests.support.certificates import STRICT, TestCertificates, make_certificates
from tests.support.clock import HandClock

WANT = wanted("box", ["example.test"], ["192.168.1.5", "fd00::5", "203.0.113.9"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), WANT)


def handshake(server_pem: Path, authority_pem: str, host: str) -> None:
    """One handshake in memory with a strict client; raises ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_pem)
    strict = ssl.create_default_context(cadata=authority_pem)
    strict.verify_flags |= STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = strict.wrap_bio(to_client, to_server, server_hostname=host)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    client.do_handshake()


@pytest.mark.parametrize("host", [*WANT.names, *WANT.addresses])
def test_a_strict_client_accepts_each_name(made: TestCertificates, host: str) -> None:
    handshake(made.server, made.authority_pem, host)


def test_the_wanted_names() -> None:
    assert WANT.names == ("box.local", "box", "localhost", "example.test", "mail.example.test")
    assert WANT.addresses == ("127.0.0.1", "::1", "192.168.1.5", "fd00::5")  # a public address is not the authority's to vouch for
    strange = wanted("My_Box.example.net", ["bücher.example", "10.0.0.1", "-x.example", ""], [])
    assert strange.names == ("localhost", "xn--bcher-kva.example", "mail.xn--bcher-kva.example")
    full = wanted("box.example.net.", [], [])
    assert full.names == ("box.local", "box", "box.example.net", "localhost") and "box.example.net" in full.permitted


def text_of(certificate: Path) -> str:
    words = ["openssl", "x509", "-in", str(certificate), "-noout", "-text"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_openssl_verifies_strictly(made: TestCertificates, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("no openssl command")
    authority = tmp_path / "authority.pem"
    authority.write_text(made.authority_pem)
    base = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(authority)]
    done = subprocess.run([*base, "-verify_hostname", "mail.example.test", str(made.server)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    reported = text_of(authority)
    for fact in ("Name Constraints: critical", "CA:TRUE, pathlen:0", "Basic Constraints: critical", "Certificate Sign, CRL Sign"):
        assert fact in reported
    assert "prime256v1" in reported
    reported = text_of(made.server)
    for fact in ("CA:FALSE", "TLS Web Server Authentication", "Digital Signature", "Authority Key Identifier", "Subject Key Identifier"):
        assert fact in reported


@pytest.mark.parametrize(
    ("names", "addresses", "host"),
    [
        (("bank.example",), (), "bank.example"),
        (("example.test.evil.example",), (), "example.test.evil.example"),
        (("box.local", "bank.example"), (), "box.local"),
        (("box.local",), ("203.0.113.9",), "203.0.113.9"),
        (("box.local",), ("2001:db8::1",), "2001:db8::1"),
    ],
)
def test_what_lies_outside_the_constraints_is_refused(
    made: TestCertificates, tmp_path: Path, names: tuple[str, ...], addresses: tuple[str, ...], host: str
) -> None:
    """Whoever stole the authority's key could still not pretend to be a bank."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization as s

    pem = (made.directory / AUTHORITY).read_bytes()
    authority = (x509.load_pem_x509_certificate(pem), s.load_pem_private_key(pem, None))
    certificate, key = make_server(WantedCertificate(names, addresses, ()), datetime.now(UTC) - timedelta(minutes=5), authority)  # type: ignore[arg-type]
    server = tmp_path / "forged.pem"
    private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    server.write_bytes(private + certificate.public_bytes(s.Encoding.PEM))
    with pytest.raises(ssl.SSLError, match="permitted subtree violation"):
        handshake(server, made.authority_pem, host)


def test_dates(made: TestCertificates) -> None:
    server = parse_certificate(made.server.read_text())
    authority = parse_certificate(made.authority_pem)
    assert 396 * DAY_S < server.not_after_at - server.not_before_at < 397 * DAY_S
    assert authority.not_before_at == BUILT_AT, "a clock that runs ahead makes no authority of the future"
    assert 3650 * DAY_S < authority.not_after_at - server.not_before_at < 3660 * DAY_S


def test_keys_are_private_and_nothing_half_written_stays(made: TestCertificates) -> None:
    assert stat.S_IMODE(made.directory.stat().st_mode) & 0o077 == 0 or made.directory.stat().st_uid == os.getuid()
    for name in (AUTHORITY, SERVER):
        assert stat.S_IMODE((made.directory / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in made.directory.iterdir()) == [AUTHORITY, SERVER]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    (tmp_path / ".file.new").write_bytes(b"left by a power cut")
    order: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("sync"), real_sync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("replace"), real_replace(self, to))[1])
    write_whole(path, b"new")
    assert path.read_bytes() == b"new" and order == ["sync", "replace", "sync"]

    def fail(fd: int) -> None:
        raise OSError("card")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="card"):
        write_whole(path, b"newer")
    assert path.read_bytes() == b"new" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_export_has_no_key_and_show_has_the_fingerprints(made: TestCertificates, tmp_path: Path) -> None:
    assert "PRIVATE" not in export(made.directory) and export(made.directory).count("BEGIN") == 1
    reported = show(made.directory)
    der = ssl.PEM_cert_to_DER_cert(made.authority_pem)
    assert hashlib.sha256(der).hexdigest() in reported.replace(":", "").lower() and "mail.example.test" in reported
    for ask in (show, export):
        with pytest.raises(SetupError, match="not made certificates"):
            ask(tmp_path)


# --- when something is made ---------------------------------------------------------------------


def test_what_is_due() -> None:
    begin = 1_800_000_000
    facts = CertificateDetails(b"", ("a", "b"), begin, begin + 300 * DAY_S, b"")
    want = WantedCertificate(("a",), (), ())
    assert due(None, want, begin, True)
    assert not due(facts, want, begin + 199 * DAY_S, True)
    assert due(facts, want, begin + 201 * DAY_S, True)
    assert due(facts, want, begin - 1, True)
    assert "not name c" in due(facts, replace(want, names=("a", "c")), begin, True)
    for at in (0, begin - 1, begin + 500 * DAY_S):  # what an unset clock says is no reason
        assert not due(facts, want, at, False)
    assert due(None, want, 0, False)


def test_a_clock_in_1970_makes_what_is_valid_today() -> None:
    assert not_before_at(100, False) == not_before_at(100, True) == BUILT_AT
    assert not_before_at(BUILT_AT + 10 * DAY_S, False) == BUILT_AT
    assert not_before_at(BUILT_AT + 10 * DAY_S, True) == BUILT_AT + 9 * DAY_S


def authority_of(directory: Path) -> str:
    return parse_certificate(export(directory)).fingerprint


def names_of(directory: Path) -> tuple[str, ...]:
    return parse_certificate((directory / SERVER).read_text()).names


def test_the_authority_stays_whatever_is_wanted(tmp_path: Path) -> None:
    now = BUILT_AT + 100 * DAY_S
    make(tmp_path, WANT, now, trusted=True)
    first = authority_of(tmp_path)
    make(tmp_path, wanted("box", ["example.test"], ["10.1.1.1"]), now + 200 * DAY_S, trusted=True)
    assert authority_of(tmp_path) == first and "10.1.1.1" in names_of(tmp_path)
    make(tmp_path, WANT, BUILT_AT, trusted=False)  # the clock forgot
    assert authority_of(tmp_path) == first
    for domains in (["example.test", "other.test"], ["other.test"]):
        make(tmp_path, wanted("box", domains, []), now, trusted=True)
        assert authority_of(tmp_path) == first and "localhost" in names_of(tmp_path)
        assert not any(name.endswith("other.test") for name in names_of(tmp_path))
    make(tmp_path, wanted("other", ["sub.example.test"], []), now + 3500 * DAY_S, trusted=True)
    server = parse_certificate((tmp_path / SERVER).read_text())
    authority = parse_certificate(export(tmp_path))
    assert authority.fingerprint == first and "mail.sub.example.test" in server.names
    assert server.not_after_at == authority.not_after_at, "it ends with its authority at the latest"
    with pytest.raises(ValueError, match="has expired"):
        make(tmp_path, WANT, now + 3700 * DAY_S, trusted=True)
    assert not (tmp_path / UNTRUSTED).exists()


def test_a_new_authority_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    make(tmp_path, WANT, BUILT_AT, trusted=True)
    first = authority_of(tmp_path)
    said = make(tmp_path, wanted("box", ["other.test"], []), BUILT_AT, trusted=True, new_authority=True)
    assert authority_of(tmp_path) != first and "must trust it" in said and "mail.other.test" in names_of(tmp_path)
    assert parse_certificate((tmp_path / FORMER).read_text()).fingerprint == first and (tmp_path / UNTRUSTED).exists()
    assert stat.S_IMODE((tmp_path / FORMER).stat().st_mode) == 0o600


def test_a_damaged_authority_is_replaced_only_when_nothing_is_left_to_serve(tmp_path: Path) -> None:
    make(tmp_path, WANT, BUILT_AT, trusted=True)
    (tmp_path / AUTHORITY).write_text("rust")
    server = (tmp_path / SERVER).read_bytes()
    with pytest.raises(ValueError, match="cannot be read"):
        make(tmp_path, WANT, BUILT_AT, trusted=True)
    assert (tmp_path / SERVER).read_bytes() == server and (tmp_path / AUTHORITY).read_text() == "rust"
    (tmp_path / SERVER).write_text("rust too")
    make(tmp_path, WANT, BUILT_AT, trusted=True)
    assert authority_of(tmp_path) and (tmp_path / FORMER).read_text() == "rust" and (tmp_path / UNTRUSTED).exists()


def test_a_clock_that_ran_ahead_costs_no_device_its_trust(tmp_path: Path) -> None:
    ahead = BUILT_AT + 12 * 365 * DAY_S
    make(tmp_path, WANT, ahead, trusted=True)
    first = authority_of(tmp_path)
    assert "begins in the future" in due(parse_certificate((tmp_path / SERVER).read_text()), WANT, BUILT_AT + DAY_S, True)
    make(tmp_path, WANT, BUILT_AT, trusted=True)
    server, authority = parse_certificate((tmp_path / SERVER).read_text()), parse_certificate(export(tmp_path))
    assert authority.fingerprint == first
    assert authority.not_before_at <= server.not_before_at <= BUILT_AT + DAY_S < server.not_after_at <= authority.not_after_at


class Keeper:
    """OwnCertificates with what it said and announced."""

    def __init__(self, directory: Path, clock: HandClock) -> None:
        self.events: list[Event] = []
        self.said: list[str] = []
        self.want = WANT
        self.own = OwnCertificates(
            directory, clock=clock, board=Board(clock, self.events.append), log=self.said.append, want=lambda: self.want
        )


async def test_the_child_makes_what_is_due_and_only_then(tmp_path: Path) -> None:
    clock = HandClock()
    keeper = Keeper(tmp_path / "certificates", clock)
    assert await keeper.own.ensure()
    assert stat.S_IMODE((tmp_path / "certificates").stat().st_mode) == 0o700
    facts = parse_certificate(keeper.own.server.read_text())
    assert set(facts.names) == {*WANT.names, *WANT.addresses}
    assert facts.not_before_at == int(clock.wall_s()) - DAY_S
    assert not await keeper.own.ensure()
    clock.forward(270 * DAY_S)
    assert await keeper.own.ensure() and "a third" in keeper.said[-1]
    assert await keeper.own.ensure(force=True)


def found(events: list[Event]) -> dict[str, str]:
    """The conditions that hold after the events."""
    reported = {one.key: " ".join(one.sentences) for one in events if isinstance(one, ConditionFound)}
    return {key: words for key, words in reported.items() if words}


async def test_what_the_authority_cannot_vouch_for_is_a_condition_until_somebody_consents(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, HandClock())
    await keeper.own.ensure()
    assert not found(keeper.events)
    first = authority_of(tmp_path)
    keeper.want = wanted("box", ["example.test", "other.test"], [])
    await keeper.own.ensure()
    await keeper.own.ensure(force=True)
    assert authority_of(tmp_path) == first and keeper.own.left_out() == ("other.test", "mail.other.test")
    assert "other.test, mail.other.test" in found(keeper.events)["certificate-names"]
    reported = len(keeper.events)
    await keeper.own.ensure()
    assert len(keeper.events) == reported, "published once, not at every check"
    await keeper.own.ensure(new_authority=True)
    assert authority_of(tmp_path) != first and "mail.other.test" in names_of(tmp_path) and not keeper.own.left_out()
    assert found(keeper.events).keys() == {"authority-new"}
    keeper.own.exported()
    assert not found(keeper.events)


async def test_an_authority_that_cannot_sign_is_a_condition_and_stays(tmp_path: Path) -> None:
    clock = HandClock()
    keeper = Keeper(tmp_path, clock)
    await keeper.own.ensure()
    good = (tmp_path / AUTHORITY).read_text()
    (tmp_path / AUTHORITY).write_text("rust")
    clock.forward(300 * DAY_S)
    assert not await keeper.own.ensure() and "cannot be read" in found(keeper.events)["authority-error"]
    with pytest.raises(SetupError, match="cannot be read") as reported:
        await keeper.own.ensure(force=True)
    assert "new-authority" in reported.value.remedy
    (tmp_path / AUTHORITY).write_text(good)
    assert await keeper.own.ensure() and not found(keeper.events)
    clock.forward(3250 * DAY_S)
    assert await keeper.own.ensure() and "ends on" in found(keeper.events)["authority-error"]
    clock.forward(100 * DAY_S)
    assert not await keeper.own.ensure(), "no better one can be made until its authority ends"
    clock.forward(100 * DAY_S)
    assert not await keeper.own.ensure() and "has expired" in found(keeper.events)["authority-error"]


async def test_a_step_of_the_clock_has_the_dates_looked_at(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    clock = HandClock()
    clock.forward(4000 * DAY_S)
    keeper = Keeper(tmp_path, clock)
    await keeper.own.ensure()
    clock.forward(-4000 * DAY_S)
    renewed = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(keeper.own.run, renewed.set)
        keeper.own.look_again()
        await renewed.wait()
        assert "begins in the future" in keeper.said[-1]
        nursery.cancel_scope.cancel()
    assert parse_certificate(keeper.own.server.read_text()).not_before_at < clock.wall_s()


async def test_a_child_that_fails_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    keeper = Keeper(tmp_path / "file" / "certificates", HandClock())
    with pytest.raises(SetupError, match="Not a directory") as reported:
        await keeper.own.ensure()
    assert reported.value.remedy


async def test_it_looks_now_and_then_and_reports_trouble(
    tmp_path: Path, autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(tmp_path, HandClock())
    asked: list[float] = []
    changed: list[float] = []

    async def ensure(*, force: bool = False) -> bool:
        asked.append(trio.current_time())
        if len(asked) == 2:
            raise SetupError("No certificate could be made.", "")
        return len(asked) == 3

    monkeypatch.setattr(keeper.own, "ensure", ensure)
    async with trio.open_nursery() as nursery:
        await nursery.start(keeper.own.run, lambda: changed.append(trio.current_time()))
        await trio.sleep(3.5 * LOOK_S)
        nursery.cancel_scope.cancel()
    assert len(asked) == 3 and changed == asked[2:] and keeper.events == [CertificateTrouble("No certificate could be made.")]


def test_making_stays_out_of_the_serving_process() -> None:
    """`cryptography` is 8 MB: the server itself never loads it."""
    import sys

    code = "import sys, appliance.certificates.certificates; print(any('cryptography' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_addresses() -> None:
    assert "127.0.0.1" in host_addresses()
    for address in ("10.2.3.4", "172.31.255.255", "192.168.0.1", "169.254.1.1", "127.0.0.5", "fd12::1", "fe80::1", "::1"):
        assert is_private(address)
    for address in ("11.0.0.1", "172.32.0.0", "192.169.0.1", "2001:db8::1", "::2", "x", "", "10.0.0"):
        assert not is_private(address)


def test_names_outside_ascii_go_in_by_idna_2008() -> None:
    want = wanted("Größe", ["straße.example", "Müller.Example.", "βόλος.example", "xn--strae-oqa.test", "☕.example"], [])
    assert {"xn--strae-oqa.example", "mail.xn--strae-oqa.example", "xn--mller-kva.example", "xn--nxasmm1c.example"} <= set(want.names)
    assert "xn--gre-6ka8i" in want.names and "xn--gre-6ka8i.local" in want.names and "xn--strae-oqa.test" in want.names
    assert not any("strasse" in name or "grosse" in name or "groesse" in name for name in (*want.names, *want.permitted))
    assert {"xn--strae-oqa.example", "xn--nxasmm1c.example"} <= set(want.permitted) and all(name.isascii() for name in want.names)
