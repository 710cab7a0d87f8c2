"""ACME challenges from the directory that an ACME client fills."""

from pathlib import Path

from appliance.app.acme_challenge import answer_to

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"


def test_the_answer_is_what_the_client_left(tmp_path: Path) -> None:
    place = tmp_path / ".well-known/acme-challenge"
    place.mkdir(parents=True)
    (place / TOKEN).write_text(f"{TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI\n")
    assert answer_to(str(tmp_path), TOKEN) == f"{TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
    assert answer_to("", TOKEN) == answer_to(str(tmp_path / "elsewhere"), TOKEN) == answer_to(str(tmp_path), "x" * 20) == ""


def test_nothing_else_is_read(tmp_path: Path) -> None:
    place = tmp_path / ".well-known/acme-challenge"
    place.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (place / ("s" * 20)).symlink_to(tmp_path / "secret")
    (place / ("t" * 20)).write_text("another answer")
    (place / ("d" * 20)).mkdir()
    for token in ("../../secret", "s" * 20, "t" * 20, "d" * 20, "", "a", "a/../b" * 4, "\0" * 20):
        assert answer_to(str(tmp_path), token) == ""
