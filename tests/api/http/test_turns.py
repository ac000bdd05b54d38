"""Large bodies take turns in the event loop, small ones never wait."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.http.limits import BODY, BodyLimit
from api.http.turns import AT_ONCE, FREE_BYTES, Turns
from core.settings import Settings

NO_UPLOADS = re.compile(r"(?!)")


def test_a_few_take_their_turn_in_each_round_of_the_loop() -> None:
    async def test() -> None:
        turns, round_number, taken = Turns(), 0, Counter[int]()

        async def client() -> None:
            for _ in range(5):
                await turns.take()
                taken[round_number] += 1

        clients = asyncio.gather(*(client() for _ in range(20)))
        while not clients.done():
            await asyncio.sleep(0)
            round_number += 1
        assert taken.total() == 100
        assert max(taken.values()) == AT_ONCE
        assert round_number < 100 / AT_ONCE + 10  # no round is wasted

    asyncio.run(test())


def test_turn_of_one_that_has_left_delays_nobody() -> None:
    async def test() -> None:
        turns = Turns()
        left, stays = asyncio.create_task(turns.take()), asyncio.create_task(turns.take())
        await asyncio.sleep(0)
        left.cancel()
        await stays
        await asyncio.wait_for(turns.take(), 5)
        assert left.cancelled()

    asyncio.run(test())


def pieces(sizes: list[int]) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": b"x" * size, "more_body": True} for size in sizes]
    messages[-1]["more_body"] = False
    rest = iter([*messages, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(rest)

    return receive


@pytest.mark.parametrize(
    ("sizes", "waits"),
    [([100], 0), ([FREE_BYTES, 100], 0), ([FREE_BYTES, 1, 100], 1), ([FREE_BYTES + 1, 100, 100, 100], 3)],
)
def test_body_waits_for_turns_beyond_its_free_bytes(
    sizes: list[int], waits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    async def take(_: Turns) -> None:
        taken.append(1)

    async def app(scope: Scope, receive: Receive, _: Send) -> None:
        body = await scope[BODY].collect()
        assert body.size == sum(sizes)
        assert (await receive())["type"] == "http.disconnect"

    async def send(_: Message) -> None:
        raise AssertionError

    monkeypatch.setattr(Turns, "take", take)
    limit = BodyLimit(app, Settings(data_dir=tmp_path), NO_UPLOADS)
    asyncio.run(limit({"type": "http", "path": "/v1/jobs", "headers": []}, pieces(sizes), send))
    assert len(taken) == waits


def test_rest_of_a_refused_body_waits_for_turns_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    async def take(_: Turns) -> None:
        taken.append(1)

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    async def send(_: Message) -> None:
        pass

    monkeypatch.setattr(Turns, "take", take)
    limit = BodyLimit(app, Settings(data_dir=tmp_path), NO_UPLOADS)
    headers = [(b"content-length", b"1000000000")]
    scope = {"type": "http", "path": "/v1/jobs", "headers": headers, "state": {"request_id": "req_1"}}
    asyncio.run(limit(scope, pieces([FREE_BYTES + 1] * 5), send))
    assert len(taken) == 5  # one for the request, and one for each piece beyond the free bytes
