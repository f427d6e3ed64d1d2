"""The process that serves."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

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


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another thing there")
def test_ctrl_c_twice_ends_it_without_a_traceback_in_the_middle_of_a_request(digits: Path):
    command = [sys.executable, "-m", "cbir", "serve", "--port", "0"]
    with subprocess.Popen(
        command,
        env={**os.environ, "CBIR_HOME": str(digits)},
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as server:
        assert server.stderr is not None
        found = re.search(r"http://127.0.0.1:(\d+)", server.stderr.readline())
        assert found
        with socket.create_connection(("127.0.0.1", int(found[1])), timeout=20) as asking:
            head = "Content-Type: image/png\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
            asking.sendall(f"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1:{found[1]}\r\n{head}".encode())
            assert b"100" in asking.recv(100)  # it waits for the body, which never comes
            server.send_signal(signal.SIGINT)
            time.sleep(0.02)
            server.send_signal(signal.SIGINT)
            said = server.communicate(timeout=20)[1]
    assert (server.returncode, said) == (0, "")
    assert not [path for path in digits.rglob("*") if path.is_socket()]
