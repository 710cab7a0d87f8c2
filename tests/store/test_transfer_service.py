"""Exports of the running server: one at a time for an account, and over at once when its client goes away."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.mail.errors import StoreError
from appliance.store.transfer_service import TransferService
from appliance.store.values import Placement
from tests.support.clock import HandClock

from .server import ANN, BEN, a_server, put


@pytest.mark.parametrize("form", ["zip", "mbox"])
async def test_a_client_that_goes_away_leaves_its_place_at_once(tmp_path: Path, form: str) -> None:
    async with a_server(tmp_path) as store:
        inbox = Placement((await store.find(ANN, "INBOX")).id, b"", (), 1_000_000_000)
        for _ in range(4):
            await put(store, inbox, octets=b"Subject: a\r\n\r\n" + b"".join(os.urandom(32).hex().encode() + b"\r\n" for _ in range(10_000)))
        service = TransferService(store, tmp_path, HandClock())

        def begun() -> AsyncIterator[bytes]:
            return service.export_zip(ANN, "mbox") if form == "zip" else service.export_mbox(ANN, "INBOX")

        chunks: Any = begun()
        assert await anext(chunks) and not service.may_export(ANN) and service.may_export(BEN)
        with pytest.raises(StoreError, match="under way"):
            await anext(begun())
        await chunks.aclose()
        assert service.may_export(ANN)
