"""Ctrl-C while a server is greeted that accepts connections and never answers."""

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from cbir.collection.served.address import address
from cbir.collection.served.server import Server
from tests.collection.test_server import GREETING, answering

_GREET = """
import sys, threading, time
from cbir.collection.served.address import address
from cbir.collection.served.server import Server

server = Server(address(sys.argv[1]))
if sys.argv[2] == "another":
    other = threading.Thread(target=lambda: server.reader, daemon=True)
    other.start()
    while not server._greeting.locked():
        time.sleep(0.01)
try:
    server.reader
except KeyboardInterrupt:
    server.close()
    print("stopped", flush=True)
    import os
    os._exit(0)
"""


@pytest.mark.parametrize("thread", ["its own", "another"])
def test_ctrl_c_ends_the_greeting_of_a_silent_server(thread: str):
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen([sys.executable, "-c", _GREET, url, thread], stdout=subprocess.PIPE, text=True)
        try:
            with silent.accept()[0]:
                time.sleep(0.3)
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=20)[0] == "stopped\n"
        finally:
            process.kill()
            process.wait()


def test_threads_greet_once():
    with answering((200, GREETING)) as url, closing(Server(address(url))) as server:
        found, start = [], threading.Barrier(8)

        def ask() -> None:
            start.wait()
            found.append(server.client)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(map(id, found))) == 1
