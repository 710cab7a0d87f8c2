"""network/public_trust: the server's own certificate is not public, and one of a known authority is."""

from pathlib import Path

from appliance.network.public_trust import is_public
from tests.support.certificates import make_certificates


def test_only_a_known_authority_and_the_right_name_are_public(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "made")
    authority = tmp_path / "authority.pem"
    authority.write_text(made.authority_pem)
    server = str(made.server)
    assert is_public(server, server, "box.local", str(authority))
    assert not is_public(server, server, "other.example", str(authority))
    assert not is_public(server, server, "box.local"), "the system does not know this authority"
    assert not is_public(str(tmp_path / "none"), server, "box.local")
