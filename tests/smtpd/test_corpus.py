"""Other servers' fuzz inputs and real clients' sessions: every one is answered in order and ends in order."""

import ast
import re
from pathlib import Path

import pytest

from appliance.smtpd.service import SmtpOptions
from tests.support.corpus import crlf, need_corpus
from tests.support.services import some_components
from tests.support.smtp import conversation

pytestmark = pytest.mark.corpus
LAST_CODES = (250, 334, 500, 501, 502, 503, 504, 530, 535, 550)


def go_string(text: str) -> bytes:
    r"""A Go string literal: `\u` in UTF-8, `\x` an octet."""
    found = ast.literal_eval("b" + re.sub(r"[^\x00-\x7f]|\\u[0-9a-f]{4}", _utf8, text))
    assert isinstance(found, bytes)
    return found


def _utf8(found: re.Match[str]) -> str:
    character = found[0] if len(found[0]) == 1 else chr(int(found[0][2:], 16))
    return "".join(f"\\x{octet:02x}" for octet in character.encode("utf-8", "replace"))


async def test_chasquids_sessions(tmp_path: Path) -> None:
    folder = need_corpus() / "smtp" / "fuzz-chasquid" / "smtpsrv" / "testdata" / "fuzz" / "FuzzConnection"
    async with some_components(tmp_path) as components:
        for path in sorted(folder.iterdir()):
            for row in path.read_text(encoding="utf-8").splitlines():
                if row.startswith("[]byte("):
                    session = go_string(row[len("[]byte(") : -1])
                    assert await conversation(components.connect("smtp"), session) == [220, 500], "a bare LF ends the session"
                    for protocol in ("smtp", "submission"):
                        codes = await conversation(components.connect(protocol), crlf(session))
                        assert codes[0] == 220 and len(codes) > 1
                        assert codes[-1] == 221 if b"QUIT" in session else codes[-1] in LAST_CODES, path


async def test_chasquids_addresses(tmp_path: Path) -> None:
    folder = need_corpus() / "smtp" / "fuzz-chasquid"
    async with some_components(tmp_path, smtp=SmtpOptions(errors=10_000)) as components:
        commands = b"EHLO x\r\n"
        count = 0
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                for row in path.read_text(encoding="utf-8").splitlines():
                    if row.startswith("string(") and (name := go_string(row[len("string(") : -1])) and not set(name) & set(b"\r\n"):
                        commands += b"MAIL FROM:<%b> SMTPUTF8\r\nRSET\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<%b>\r\nRSET\r\n" % (name, name)
                        count += 1
        codes = await conversation(components.connect("smtp"), commands + b"QUIT\r\n")
        assert count > 15 and len(codes) == 2 + 5 * count + 1 and codes[-1] == 221


async def test_what_real_clients_send(tmp_path: Path) -> None:
    folder = need_corpus() / "transcripts"
    async with some_components(tmp_path) as components:
        for path in sorted((folder / "curl-smtp").iterdir()):
            session = crlf(re.sub(rb"%b64\[.*?\]b64%", b"AHgAeQ==", path.read_bytes()))
            for protocol in ("smtp", "submission"):
                codes = await conversation(components.connect(protocol), session)
                assert len(codes) >= session.count(b"\r\n") and 421 not in codes, path.name
                assert not session.endswith(b"QUIT\r\n") or codes[-1] == 221
        codes = await conversation(components.connect("smtp"), crlf((folder / "profuzzbench-smtp" / "smtp_requests_full.raw").read_bytes()))
        assert codes == [220, 250, 250, 550, 503, 500, 500, 221]
        codes = await conversation(
            components.connect("smtp"), crlf((folder / "profuzzbench-smtp" / "smtp_requests_full_bdat.raw").read_bytes())
        )
        assert codes[:4] == [220, 250, 250, 550]
