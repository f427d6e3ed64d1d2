"""An ingest on Ray that goes on in a process of its own, and whose parts a test may kill."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from qdrant_client import QdrantClient

from cbir.collection.place import places_of
from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server
from tests.conftest import picture
from tests.qdrant import GIVEN_KEY

#: Seconds until something has to happen.
PATIENCE = 600


class Running:
    """`cbir ingest FOLDER --on ray --json`."""

    def __init__(self, folder: Path, home: Path, url: str, *arguments: object) -> None:
        command = ["ingest", folder, "-c", "pictures", "--encoder", "pixels", "--on", "ray", *arguments, "--json"]
        self._url = url
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cbir", *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "CBIR_HOME": str(home), "QDRANT_URL": url},
            start_new_session=True,
        )

    def until_stored(self, least: int) -> None:
        """Wait until so many points are stored."""
        with closing(QdrantClient(self._url, check_compatibility=False)) as client:

            def stored() -> bool:
                with suppress(Exception):  # there is no collection yet, or no server
                    return client.count("pictures").count >= least
                return False

            self._until(stored)

    def kill_worker(self, kind: str) -> None:
        """Kill an actor, `Reader` or `Storer`, as soon as there is one."""
        found: list[int] = []

        def killed() -> bool:
            found[:] = [process for process, title in _titles() if kind in title and self._is_above(process)]
            return bool(found)

        self._until(killed)
        os.kill(found[0], signal.SIGKILL)

    def kill(self) -> None:
        """Kill the driver."""
        self._process.kill()
        self._process.communicate()

    def report(self) -> dict[str, Any]:
        """Wait for its end; return its report."""
        stdout, stderr = self._process.communicate(timeout=PATIENCE)
        assert self._process.returncode == 0, stderr
        return json.loads(stdout)

    def error(self) -> str:
        """Wait for its end, which is an error; return the last line."""
        _, stderr = self._process.communicate(timeout=PATIENCE)
        assert self._process.returncode == 1, stderr
        return stderr.splitlines()[-1]

    def _until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert self._process.poll() is None, self._process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def _is_above(self, process: int) -> bool:
        while process > 1 and process != self._process.pid:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        return process == self._process.pid


def album(folder: Path, pictures: int, bad: int) -> Path:
    """Make a folder of pictures that take some 30 ms each to decode, and of a block of files that are none."""
    folder.mkdir()
    drawn = folder / "drawn.png"
    picture(1, (1600, 1200)).save(drawn)
    content = drawn.read_bytes()
    drawn.unlink()
    begin = 33  # behind the header
    for index in range(pictures):
        text = b"tEXtComment\0%06d" % index
        chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
        (folder / f"{index:04}.png").write_bytes(content[:begin] + chunk + content[begin:])
    for index in range(bad):
        (folder / f"{pictures // 2:04} bad {index:03}.png").write_bytes(content[:60] + b"%d" % index)
    return folder


def assert_complete(folder: Path, home: Path, url: str, report: dict[str, Any]) -> None:
    """Check that every picture is stored once, and every other file named."""
    files = sorted(folder.iterdir())
    good = {hashlib.sha256(file.read_bytes()).hexdigest(): file.name for file in files if " bad " not in file.name}
    engine = ServedEngine(Server(address(url), GIVEN_KEY), home / "locks")
    with closing(engine), closing(engine.open("pictures")) as collection:
        payloads = [payload for page in collection.scroll() for payload in page.payloads]
    stored = {payload["sha256"]: [place.uri for place in places_of(payload)] for payload in payloads}
    assert stored == {sha256: [name] for sha256, name in good.items()}
    assert len(payloads) == len(good) == report["points"]
    done = ("ingested", "unchanged", "updated", "moved", "copies", "skipped")
    assert report["found"] == sum(report[name] for name in done) == len(files)
    assert report["skipped"] == len(files) - len(good)
    lines = [json.loads(line) for line in Path(report["file"]).read_text().splitlines()]
    named = sorted(line["uri"] for line in lines if line["what"] == "skipped")
    assert named == [file.name for file in files if " bad " in file.name]


def _titles() -> Iterator[tuple[int, str]]:
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if (title := place.read_bytes()).startswith(b"ray::"):
                yield int(place.parent.name), title.decode(errors="replace")
