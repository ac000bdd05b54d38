"""How much of a connection is read at a time: a body that arrives fast leaves others their turns."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from api.http.connections import READ_BYTES, Connection
from api.http.unread import UnreadAnswers

SENT = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000)


async def app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


async def read_sizes() -> tuple[list[int], bytes]:
    """Return the sizes of the pieces in which a server reads a body of 4 MB, and its answer."""
    sizes: list[int] = []
    config = Config(app, log_config=None)
    config.load()

    class Recorded(Connection):
        unread = UnreadAnswers(60.0, 2**30)

        def data_received(self, data: bytes) -> None:
            sizes.append(len(data))
            super().data_received(data)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Recorded(config, ServerState(), {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(SENT)
        line = await reader.readline()
        writer.close()
    return sizes, line


def test_a_fast_body_is_read_in_small_pieces() -> None:
    sizes, line = asyncio.run(read_sizes())
    assert (line, sum(sizes)) == (b"HTTP/1.1 200 OK\r\n", len(SENT))
    assert max(sizes) <= READ_BYTES
