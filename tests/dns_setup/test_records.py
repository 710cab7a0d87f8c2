"""dns_setup/records: golden texts, for a server with everything and for one without known addresses."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.dns_setup.records import DomainFacts, Record, quoted, records, zone_text

KEY = "v=DKIM1; k=rsa; p=" + "A" * 300
FACTS = DomainFacts(
    "home.example", "mail.home.example", ("203.0.113.7", "2001:db8::7"),
    (("smtp", 25), ("submissions", 465), ("submission", 587), ("imaps", 993), ("imap", 143), ("pop3s", 995), ("pop3", 110)),
    (("pillarbox-rsa", KEY), ("pillarbox-ed", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")),
    ("include:_spf.provider.example", "smtp.relay.example"), "postmaster@home.example",
)  # fmt: skip

GOLDEN = f"""\
; mail from the internet reaches this server
home.example.                           MX    10 mail.home.example.
; the host name needs an address
mail.home.example.                      A     203.0.113.7
; the host name needs an address
mail.home.example.                      AAAA  2001:db8::7
; other servers accept mail of this domain from here
home.example.                           TXT   \
"v=spf1 mx ip4:203.0.113.7 ip6:2001:db8::7 include:_spf.provider.example a:smtp.relay.example ~all"
; other servers can verify the signatures of your messages
pillarbox-rsa._domainkey.home.example.  TXT   "v=DKIM1; k=rsa; p={"A" * 237}" "{"A" * 63}"
; other servers can verify the signatures of your messages
pillarbox-ed._domainkey.home.example.   TXT   "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
; other servers know what to do with forged messages
_dmarc.home.example.                    TXT   "v=DMARC1; p=quarantine; rua=mailto:postmaster@home.example"
; other servers report failed TLS connections to you
_smtp._tls.home.example.                TXT   "v=TLSRPTv1; rua=mailto:postmaster@home.example"
; mail programs configure themselves
_submissions._tcp.home.example.         SRV   0 1 465 mail.home.example.
; mail programs configure themselves (with STARTTLS)
_submission._tcp.home.example.          SRV   10 1 587 mail.home.example.
; mail programs configure themselves
_imaps._tcp.home.example.               SRV   0 1 993 mail.home.example.
; mail programs configure themselves (with STARTTLS)
_imap._tcp.home.example.                SRV   10 1 143 mail.home.example.
; mail programs configure themselves
_pop3s._tcp.home.example.               SRV   0 1 995 mail.home.example.
; mail programs configure themselves (with STARTTLS)
_pop3._tcp.home.example.                SRV   10 1 110 mail.home.example.
; other servers check the name of your address; only your provider can set this
; 7.113.0.203.in-addr.arpa. PTR mail.home.example.
; other servers check the name of your address; only your provider can set this
; 7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.home.example."""

LITTLE = """\
; mail from the internet reaches this server
home.example.         MX    10 mail.home.example.
; the host name needs an address; your public IPv4 address is not known here: fill it in, and update it when it changes
; mail.home.example. A ADDRESS
; other servers accept mail of this domain from here
home.example.         TXT   "v=spf1 mx ~all"
; other servers know what to do with forged messages
_dmarc.home.example.  TXT   "v=DMARC1; p=quarantine\""""


def test_everything_that_can_run() -> None:
    assert zone_text(records(FACTS)) == GOLDEN


def test_a_server_without_known_addresses() -> None:
    found = records(DomainFacts("home.example", "mail.home.example", services=(("smtp", 25),)))
    assert zone_text(found) == LITTLE
    assert found[1] == Record("mail.home.example", "A", "", found[1].why) and found[1].needed


def test_only_what_runs() -> None:
    few = records(DomainFacts("home.example", "mail.home.example", ("2001:db8::7",), services=(("imaps", 993),)))
    assert [f"{one.kind} {one.needed}" for one in few] == ["A False", "AAAA True", "TXT True", "TXT True", "SRV False", "PTR True"]
    assert few[2].value == "v=spf1 ip6:2001:db8::7 ~all"
    assert records(DomainFacts("home.example", "mail.home.example"))[1].value == "v=spf1 a:mail.home.example ~all"


def test_what_can_be_copied_is_a_zone() -> None:
    import dns.rdatatype
    import dns.zone

    soa = "$ORIGIN .\n$TTL 60\nhome.example. SOA ns. admin. 1 1 1 1 1\nhome.example. NS ns.\n"
    zone = dns.zone.from_text(soa + zone_text(records(FACTS)) + "\n", origin="home.example.", relativize=False)
    rdata = zone.find_rdataset("pillarbox-rsa._domainkey.home.example.", "TXT")[0]
    assert b"".join(rdata.strings).decode() == KEY
    assert len(list(zone.iterate_rdatas())) == 2 + sum(one.kind != "PTR" for one in records(FACTS))


def test_a_place_for_reports_is_one_uri() -> None:
    found = records(DomainFacts("home.example", "h.home.example", services=(("smtp", 25),), postmaster="a,b!c;d%@home.example"))
    assert "rua=mailto:a%2Cb%21c%3Bd%25@home.example" in found[3].value and found[4].value.endswith("a%2Cb%21c%3Bd%25@home.example")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=700))
def test_strings_of_any_text_are_that_text(text: str) -> None:
    import dns.rdata

    if text:
        written = quoted(text)
        read = dns.rdata.from_text("IN", "TXT", written)
        assert b"".join(read.strings).decode() == text and all(len(part) <= 255 for part in read.strings)  # type: ignore[attr-defined]
