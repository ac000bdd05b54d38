"""Turns in the event loop: large bodies that arrive at once take turns, so that small requests run between them."""

import asyncio
from collections import deque

from starlette.types import Message, Receive

AT_ONCE = 1
"""Pieces of large bodies in one round of the event loop."""
FREE_BYTES = 2**16
"""Bytes of a body that are received without waiting for a turn."""


class Turns:
    """A queue in which a few tasks at a time get their turn in each round of the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for a turn."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._give)
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _give(self) -> None:
        for _ in range(min(AT_ONCE, len(self._waiting))):
            turn = self._waiting.popleft()
            if not turn.cancelled():
                turn.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._give)

    def of(self, receive: Receive) -> Receive:
        """Return a `receive` that waits for a turn before each piece of a body but its first `FREE_BYTES`."""
        received, more = 0, True

        async def receive_in_turn() -> Message:
            nonlocal received, more
            if more and received > FREE_BYTES:
                await self.take()
            message = await receive()
            received += len(message.get("body", b""))
            more = message.get("more_body", False)
            return message

        return receive_in_turn
