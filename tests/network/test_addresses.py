"""network/addresses: an IPv6 address that leads to an IPv4 one is judged as that one."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.network.addresses import answers, dialled, family_of, is_public, is_unspecified, judged, other_family

EMBEDDED = ("::ffff:{}", "::ffff:0:{}", "64:ff9b::{}", "::{}")
"""RFC 4291 §2.5.5.2, RFC 2765, RFC 6052 §2.1, RFC 4291 §2.5.5.1."""


@pytest.mark.parametrize("form", EMBEDDED)
@given(st.ip_addresses(v=4).filter(lambda one: int(one) > 1))
def test_embedded_addresses_are_judged_as_the_address_inside(form: str, inside: ipaddress.IPv4Address) -> None:
    assert judged(form.format(inside)) == inside
    assert is_public(form.format(inside)) == is_public(str(inside))


@given(st.ip_addresses(v=4))
def test_6to4_leads_to_the_address_inside(inside: ipaddress.IPv4Address) -> None:
    octets = inside.packed
    address = f"2002:{octets[0]:02x}{octets[1]:02x}:{octets[2]:02x}{octets[3]:02x}::1"
    assert judged(address) == inside, "RFC 3056 §2"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2620:fe::fe", True), ("64:ff9b::808:808", True), ("::ffff:8.8.8.8", True),
        ("10.0.0.1", False), ("192.168.1.1", False), ("172.16.0.1", False), ("169.254.1.1", False), ("127.0.0.1", False),
        ("100.64.0.1", False), ("0.0.0.0", False), ("255.255.255.255", False), ("224.0.0.1", False), ("239.1.2.3", False),
        ("192.0.2.1", False),
        ("::", False), ("::1", False), ("fe80::1", False), ("fd00::1", False), ("ff02::1", False), ("2001:db8::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False), ("64:ff9b::a00:1", False), ("2002:a00:1::1", False), ("::7f00:1", False),
        ("fec0::1", False),
    ],
)  # fmt: skip
def test_what_another_server_on_the_internet_can_have(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("address", ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "::ffff:0:0.0.0.0", "64:ff9b::", "2002::1"])
def test_addresses_with_which_the_kernel_connects_to_this_host(address: str) -> None:
    assert is_unspecified(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "1.0.0.0", "::ffff:1.0.0.1"])
def test_others_are_specified(address: str) -> None:
    assert not is_unspecified(address)


def test_the_form_that_is_dialled_and_compared() -> None:
    assert dialled("::ffff:192.0.2.1") == "192.0.2.1" and dialled("2001:DB8:0::1") == "2001:db8::1" and dialled("192.0.2.1") == "192.0.2.1"
    for wrong in ("", "name.example", "192.0.2.1:25", "[::1]", "1.2.3"):
        with pytest.raises(ValueError):
            dialled(wrong)
        with pytest.raises(ValueError):
            judged(wrong)


@pytest.mark.parametrize(
    ("bound", "address", "yes"),
    [
        ("127.0.0.1", "127.0.0.1", True), ("127.0.0.1", "127.0.0.2", False), ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True), ("0.0.0.0", "::1", False), ("::", "127.0.0.1", True), ("::", "::1", True),
        ("0.0.0.0", "192.0.2.1", False), ("192.0.2.1", "192.0.2.1", True), ("::1", "127.0.0.1", False),
    ],
)  # fmt: skip
def test_which_listener_answers_at_an_address(bound: str, address: str, yes: bool) -> None:
    assert answers(bound, address) is yes


def test_families() -> None:
    assert [family_of("192.0.2.1"), family_of("::1")] == [4, 6] and [other_family(4), other_family(6)] == [6, 4]
