"""No verdict is told that can't be recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.guarded import INFER, body, rows, serving
from tests.served import Listed


async def test_a_full_verdict_lane_refuses_what_it_cannot_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.http.telling.PATIENCE_S", 0.02)
    async with serving(tmp_path, Listed(room=False)) as client:
        rejected = await client.post(INFER, json=body(rows(0.95)))
        flagged = await client.post(INFER, json=body(rows(0.85)))
        clean = await client.post(INFER, json=body(rows(0.0)))
    assert (rejected.status_code, flagged.status_code, clean.status_code) == (503, 503, 200)
    assert rejected.headers["retry-after"] == "1"
    async with serving(tmp_path, Listed(room=False), mode="shadow") as client:
        assert (await client.post(INFER, json=body(rows(0.85)))).status_code == 200


async def test_a_verdict_waits_for_room_before_it_is_refused(tmp_path: Path) -> None:
    recorder = Listed(room=False)
    async with serving(tmp_path, recorder) as client:
        asked = asyncio.create_task(client.post(INFER, json=body(rows(0.95))))
        await asyncio.sleep(0.1)
        assert not asked.done()
        assert (await client.post(INFER, json=body(rows(0.0)))).status_code == 200  # others don't wait with it
        recorder.room = True
        assert (await asked).status_code == 403
    assert [seen.status for seen in recorder.seen] == [200, 403]


async def test_a_recorder_that_raises_counts_as_full(tmp_path: Path) -> None:
    class Broken(Listed):
        def offer(self, observation: Any) -> bool:
            raise OSError("no disk")

    async with serving(tmp_path, Broken()) as client:
        assert (await client.post(INFER, json=body(rows(0.95)))).status_code == 503
        assert (await client.post(INFER, json=body(rows(0.0)))).status_code == 200
