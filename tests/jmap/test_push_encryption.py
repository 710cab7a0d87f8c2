"""The body of a push message by the example of RFC 8291, and by a receiver that shares no code with the sender; the token of RFC 8292."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from appliance.jmap.push_encryption import TOKEN_S, VapidSigner, decoded, encrypt
from appliance.mail.errors import MisuseError
from appliance.mailauth.agreement import AgreementKey
from appliance.protocol.jmap.push import PUSH_OCTETS
from appliance.runtime.vapid_key_file import NAME, main
from tests.support.push_receiver import Receiver, checked_token

POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
RECEIVER_KEY = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
SENDER_KEY = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SECRET, SALT = "BTBZMqHH6r4Tts7J_aSIgg", "DGv6ra1nlYgDCS1FRnbzlw"
MESSAGE = b"When I grow up, I want to be a watermelon"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decoded(text), "big"), ec.SECP256R1())


def agreement_key(text: str) -> AgreementKey:
    return AgreementKey(private(text).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_the_example_of_rfc_8291_octet_for_octet() -> None:
    made = encrypt(MESSAGE, decoded(POINT), decoded(SECRET), pad_to=0, key=agreement_key(SENDER_KEY), salt=decoded(SALT))
    assert made == decoded(BODY)
    receiver = Receiver(private(RECEIVER_KEY), decoded(SECRET))
    assert receiver.keys == {"p256dh": POINT, "auth": SECRET}
    assert receiver.decrypt(made) == MESSAGE


@pytest.mark.parametrize("octets", [0, 1, PUSH_OCTETS])
def test_a_receiver_reads_it_and_all_messages_have_one_size(octets: int) -> None:
    receiver = Receiver()
    point, secret = (decoded(receiver.keys[name]) for name in ("p256dh", "auth"))
    bodies = [encrypt(b"x" * octets, point, secret) for _ in range(2)]
    assert all(receiver.decrypt(body) == b"x" * octets for body in bodies)
    assert bodies[0] != bodies[1] and {len(body) for body in bodies} == {len(encrypt(b"", point, secret))} and len(bodies[0]) <= 4096


@pytest.mark.parametrize("point", [b"", b"\4" + b"\1" * 64, b"\2" + b"\1" * 64, b"\0"])
def test_a_key_that_is_no_point_is_refused(point: bytes) -> None:
    with pytest.raises(MisuseError):
        encrypt(b"x", point, b"0" * 16)


def test_the_token_names_the_push_service_and_who_asks(tmp_path: Path) -> None:
    directory = tmp_path
    assert main([str(directory)]) == 0
    public, _, pem = (directory / NAME).read_bytes().partition(b"\n")
    signer = VapidSigner(public.decode(), pem, "mailto:postmaster@home.test")
    claims = checked_token(signer.authorization("https://push.example", 1000.5), public.decode())
    assert claims == {"aud": "https://push.example", "exp": 1000 + TOKEN_S, "sub": "mailto:postmaster@home.test"}
    assert (directory / NAME).stat().st_mode & 0o777 == 0o600
    with pytest.raises(MisuseError):
        VapidSigner(public.decode(), b"nothing", "")
