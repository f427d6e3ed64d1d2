"""`cbir serve` under load: search by upload at 1, 8 and 64 clients, beside the encoder and the engine in one process.

`python -m benchmarks serve [SECONDS]`: so long for each number of clients, 30 s by default. MNIST with a 28x28 encoder,
and the photographs of `photos.zip` with `photo`, both from the folder that CBIR_DATA names. Each request uploads a file
and gets 10 hits. Clients are a process of their own on the same cores, which makes the server slower than it would be.

Aims: a median under 20 ms at 8 clients with the 28x28 encoder, and under 1.5 times the encoder's own time with `photo`;
0.6 of the rate at which one process encodes and searches; memory flat; no error.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.setting import Watched, home, last_json, mnist, show, timed, unpacked

CLIENTS = (1, 8, 64)
SECONDS = 30.0
PICTURES = 200
#: What is taken for the 28x28 encoder: how well it finds is not measured here.
SMALL = "autoencoder:epochs=1"

#: Encodes and searches pictures one by one, from their files' bytes; what decodes, encodes and searches takes, apart.
IN_PROCESS = """
import json, sys, time
from pathlib import Path
from statistics import median
import cbir
from cbir.model.picture import decode
name, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
files = [path.read_bytes() for path in sorted(folder.iterdir())]
with cbir.open(name) as searcher:
    preprocessing, spent, done = searcher.bundle.preprocessing, ([], [], []), 0
    searcher.search(searcher.encoder.encode(preprocessing.pixels(decode(files[0], "x"))[None])[0])
    clock = time.perf_counter
    end = clock() + seconds
    while clock() < end:
        begun = clock()
        pixels = preprocessing.pixels(decode(files[done % len(files)], "x", enough=preprocessing.enough))
        decoded = clock()
        feature = searcher.encoder.encode(pixels[None])[0]
        encoded = clock()
        searcher.search(feature, k=10)
        for list_, value in zip(spent, (decoded - begun, encoded - decoded, clock() - encoded)):
            list_.append(value)
        done += 1
    print(json.dumps([1000 * median(each) for each in spent]))
"""

#: Clients that each send the next upload once they have the answer to the last; nothing but sockets, to take little.
LOAD = """
import asyncio, json, sys, time
from pathlib import Path
port, name, folder, clients, seconds = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
def request(content):
    part = b'--B\\r\\nContent-Disposition: form-data; name="image"; filename="x"\\r\\n\\r\\n'
    body = part + content + b"\\r\\n--B--\\r\\n"
    head = f"POST /api/collections/{name}/search HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n"
    head += f"Content-Type: multipart/form-data; boundary=B\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
    return head.encode() + body
requests = [request(path.read_bytes()) for path in sorted(folder.iterdir())]
took, errors = [], {}
async def client(number, end):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    while time.perf_counter() < end:
        begun = time.perf_counter()
        writer.write(requests[number % len(requests)])
        await writer.drain()
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\\r")[0])
        answer = await reader.readexactly(length)
        took.append(time.perf_counter() - begun)
        status = head[9:12].decode()
        if status != "200" or b'"hits":[{' not in answer:
            errors[status] = errors.get(status, 0) + 1
        number += clients
    writer.close()
async def load():
    end = time.perf_counter() + seconds
    await asyncio.gather(*(client(number, end) for number in range(clients)))
begun = time.perf_counter()
asyncio.run(load())
wall = time.perf_counter() - begun
took.sort()
p50, p99 = (1000 * took[int(share * len(took))] for share in (0.5, 0.99))
print(json.dumps({"rate": len(took) / wall, "p50": p50, "p99": p99, "errors": errors}))
"""


def main(arguments: list[str] | None = None) -> None:
    """Print a table for each encoder."""
    seconds = float(arguments[0]) if arguments else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        digits = Path(folder) / "digits"
        digits.mkdir()
        for number, item in zip(range(PICTURES), mnist().queries(), strict=False):
            item.open().save(digits / f"{number:03}.png")
        with home("serve") as place:
            print(f"filling collections, unless they are in {place}", file=sys.stderr, flush=True)
            timed(["-m", "cbir", "ingest", "mnist", "--collection", "mnist", "--encoder", SMALL])
            photographs = unpacked("photos")
            timed(["-m", "cbir", "ingest", str(photographs), "--collection", "photos"])
            measure(f"60,000 digits, {SMALL}", "mnist", digits, seconds)
            some = Path(folder) / "photographs"
            some.mkdir()
            for path in sorted(photographs.rglob("*.jpg"))[:PICTURES]:
                (some / path.name).write_bytes(path.read_bytes())
            measure("500 photographs, photo", "photos", some, seconds)


def measure(title: str, name: str, folder: Path, seconds: float) -> None:
    """Print what a server makes of uploads, and what one process does without it."""
    arguments = ["-c", IN_PROCESS, name, str(folder), str(min(seconds, 10.0))]
    decoding, encoding, searching = last_json(timed(arguments).output)
    bare = 1000 / (encoding + searching)
    rows = []
    with served(name) as (port, pid):
        load(port, name, folder, 8, min(seconds, 3.0))  # warm: workers are started, pages are in memory
        for clients in CLIENTS:
            before = memory(pid)
            found = load(port, name, folder, clients, seconds)
            rows.append(
                [
                    clients,
                    f"{found['rate']:.0f}",
                    f"{found['p50']:.1f}",
                    f"{found['p99']:.1f}",
                    f"{found['p50'] / encoding:.2f}",
                    f"{found['rate'] / bare:.2f}",
                    f"{before / 1e6:.0f} -> {memory(pid) / 1e6:.0f}",
                    found["errors"] or "none",
                ]
            )
    columns = ("clients", "requests/s", "p50, ms", "p99, ms", "p50 / encoder", "rate / bare", "MB", "errors")
    show(f"{title}: uploads of {seconds:g} s each (load {os.getloadavg()[0]:.1f})", columns, rows)
    print(
        f"one process, one picture at a time, medians in ms: decode {decoding:.2f}, encode {encoding:.2f}, "
        f"search {searching:.2f}; bare encode-and-search rate {bare:.0f}/s\n"
    )


@contextmanager
def served(name: str) -> Iterator[tuple[str, int]]:
    """Yield the port and the process of a server."""
    command = [sys.executable, "-m", "cbir", "serve", "--port", "0", "--collection", name]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = ""
            while not (found := re.search(r"http://[\w.]+:(\d+)/", said)):
                line = process.stderr.readline()
                if not line:
                    sys.exit(f"cbir serve ended:\n{said}")
                said += line
            yield found[1], process.pid
        finally:
            process.terminate()


def load(port: str, name: str, folder: Path, clients: int, seconds: float) -> dict[str, Any]:
    """Return rate, latencies and errors of some clients."""
    found: dict[str, Any] = last_json(timed(["-c", LOAD, port, name, str(folder), str(clients), str(seconds)]).output)
    return found


def memory(pid: int) -> int:
    """Return the bytes that the server and its workers have now, shared ones once."""
    with Watched(pid) as watched:
        pass
    return watched.peak


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(sys.argv[1:])
