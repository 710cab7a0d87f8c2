"""Any input in any order: replies in order, an orderly end, no exception."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.services import some_components
from tests.support.smtp import conversation

CODES = {214, 220, 221, 235, 250, 252, 334, 354, 421, 450, 451, 452, 454, 500, 501, 502, 503, 504, 530, 535, 538, 550, 552, 553, 554, 555}
WORDS = st.sampled_from(
    [
        b"EHLO x\r\n", b"HELO y\r\n", b"MAIL FROM:<a@b.example>\r\n", b"MAIL FROM:<> BODY=BINARYMIME SIZE=3\r\n",
        b"RCPT TO:<fred@example.org>\r\n",
        b"DATA\r\n", b"BDAT 5\r\n", b"BDAT 3 LAST\r\n", b"BDAT 99999999999\r\n", b"RSET\r\n", b"QUIT\r\n", b"AUTH PLAIN AGZyZWQAeA==\r\n",
        b"AUTH LOGIN\r\n", b"*\r\n", b"STARTTLS\r\n", b"VRFY x\r\n", b"NOOP\r\n", b"HELP\r\n", b".\r\n", b"\r\n.\r\n",
        b"\r\n", b"\n", b"\r", b"\0",
        b"\xff" * 30, b"x" * 3000, b"AUTH PLAIN " + b"A" * 13000, b"a" * 70000,
    ]
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(WORDS | st.binary(max_size=20), max_size=25).map(b"".join), min_size=12, max_size=12))
def test_any_sessions(tmp_path_factory: pytest.TempPathFactory, sessions: list[bytes]) -> None:
    async def all_of_them() -> None:
        async with some_components(tmp_path_factory.mktemp("any")) as components:
            for session in sessions:
                for protocol in ("smtp", "submission"):
                    codes = await conversation(components.connect(protocol), b"EHLO x\r\n" + session)
                    assert codes[0] == 220 and set(codes) <= CODES, codes

    trio.run(all_of_them)
