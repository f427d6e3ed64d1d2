"""The process that serves."""

import asyncio
import socket

from cbir.serve.config import ServeConfig
from cbir.serve.run import _listening


def test_an_answer_is_sent_at_once():
    """With Nagle's algorithm, an answer's body waits until its head is acknowledged: 40 ms."""

    async def connected() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with _listening(ServeConfig(port=0)) as listening:
            async with await asyncio.start_server(accepted, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                writer.close()
                return await asyncio.wait_for(found, 20)

    assert asyncio.run(connected())
