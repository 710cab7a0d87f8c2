"""The key of push services: made once by a child process, private, the same after a restart; a file that is none is refused."""

from pathlib import Path

import pytest

from appliance.mail.errors import SetupError
from appliance.runtime.vapid_key_file import NAME, PUBLIC_CHARACTERS, VapidKeyFile


async def test_a_key_is_made_once(tmp_path: Path) -> None:
    directory = tmp_path / "certificates"
    key = await VapidKeyFile(directory).key()
    assert len(key.public) == PUBLIC_CHARACTERS and key.pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert (directory / NAME).stat().st_mode & 0o777 == 0o600
    assert await VapidKeyFile(directory).key() == key


async def test_what_is_no_key_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("something else")
    with pytest.raises(SetupError):
        await VapidKeyFile(tmp_path).key()
    assert (tmp_path / NAME).read_text() == "something else"


async def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="Not a directory"):
        await VapidKeyFile(tmp_path / "file" / "certificates").key()
