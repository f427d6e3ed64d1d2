"""Files of the hub are found, or fetched whole; or the message says which, and where to put them."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from cbir.core import digest, download
from cbir.model.errors import ModelError
from cbir.model.pretrained.hub import HubFile, fetch
from tests.model.pretrained.hub import REVISION, Hub, moved, rest, running

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setattr(download, "_MAX_WAIT", 0.01)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with running() as started:
        monkeypatch.setenv("HF_ENDPOINT", f"{started.url}/")
        yield started


@pytest.fixture
def file(hub: Hub) -> HubFile:
    return hub.add("somebody/net", "onnx/model.onnx", CONTENT)


def test_a_file_is_fetched_at_its_revision_once_and_followed_where_it_moved(hub: Hub, file: HubFile, tmp_path: Path):
    hub.files[f"/somebody/net/resolve/{REVISION}/onnx/model.onnx?of=elsewhere"] = CONTENT
    hub.answers = [moved]
    seen: list[tuple[object, ...]] = []
    (path,) = fetch([file], "encoder 'net'", progress=lambda *report: seen.append(report))
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path / "cache")
    assert seen[-1] == ("download", len(CONTENT), len(CONTENT), "model.onnx")
    assert fetch([file, file], "encoder 'net'") == [path, path]
    assert len(hub.asked) == 2


def test_what_was_cut_off_goes_on_where_it_was(hub: Hub, file: HubFile):
    hub.answers = [partial(rest, until=end) for end in (1000, 2000, 3000)]
    with pytest.raises(ModelError, match="downloading failed"):
        fetch([file], "encoder 'net'")
    assert fetch([file], "encoder 'net'")[0].read_bytes() == CONTENT
    assert hub.asked[-1].endswith("bytes=3000-")


def test_another_content_is_refused_with_both_hashes(hub: Hub, file: HubFile):
    wanted = replace(file, sha256="0" * 64)
    with pytest.raises(
        ModelError, match=f"another file than was pinned.*SHA-256 is {file.sha256}, expected {'0' * 64}"
    ):
        fetch([wanted], "encoder 'net'")
    assert not wanted.place.exists()


def test_a_page_in_place_of_a_file_is_no_fault_of_the_hub(hub: Hub, file: HubFile):
    hub.files[f"/somebody/net/resolve/{REVISION}/onnx/model.onnx"] = b"<html>Welcome to our hotel</html>"
    with pytest.raises(
        ModelError, match=r"not on this machine, and downloading failed.* gave 33 bytes of something else"
    ):
        fetch([file], "encoder 'net'")
    assert not file.place.exists()


def test_a_file_is_hashed_again_only_if_it_has_changed(hub: Hub, file: HubFile, monkeypatch: pytest.MonkeyPatch):
    (path,) = fetch([file], "encoder 'net'")
    hashed: list[Path] = []
    sha256_of = digest.sha256_of
    monkeypatch.setattr(digest, "sha256_of", lambda path: [hashed.append(path), sha256_of(path)][1])
    for _ in range(3):
        assert fetch([file], "encoder 'net'") == [path]
    assert hashed == [path]
    before = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="not on this machine"):
        fetch([file], "encoder 'net'")
    path.write_bytes(CONTENT)
    for note in (Path(os.environ["XDG_CACHE_HOME"]) / "cbir" / "networks" / "hashed").iterdir():
        note.write_text("[")
    assert fetch([file], "encoder 'net'") == [path]


def test_a_file_that_cannot_be_read_is_none(hub: Hub, file: HubFile, monkeypatch: pytest.MonkeyPatch):
    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    file.place.parent.mkdir(parents=True)
    file.place.write_bytes(CONTENT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(digest, "sha256_of", refused)
    with pytest.raises(ModelError, match="not on this machine"):
        fetch([file], "encoder 'net'")


def test_a_cache_that_cannot_be_written_to_is_named(hub: Hub, file: HubFile):
    file.place.parent.parent.mkdir(parents=True)
    file.place.parent.write_text("in the way")
    with pytest.raises(ModelError, match=f"{re.escape(str(file.place.parent))} cannot be written to: .*exists"):
        fetch([file], "encoder 'net'")


@pytest.mark.parametrize("place", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"])
@pytest.mark.parametrize("revision", [REVISION, "f" * 40])
def test_hugging_face_s_own_cache_is_looked_in(
    hub: Hub, file: HubFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, revision: str
):
    root = tmp_path / "theirs"
    monkeypatch.setenv(place, str(root))
    folder = root / {"HF_HOME": "hub", "XDG_CACHE_HOME": "huggingface/hub"}.get(place, "")
    theirs = folder / "models--somebody--net" / "snapshots" / revision / "onnx" / "model.onnx"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(CONTENT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch([file], "encoder 'net'") == [theirs]
    theirs.write_bytes(b"another")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE forbids"):
        fetch([file], "encoder 'net'")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert fetch([file], "encoder 'net'") == [file.place]
    assert theirs.read_bytes() == b"another"


def test_without_a_network_the_message_says_what_to_get_and_where_to_put_it(
    hub: Hub, file: HubFile, monkeypatch: pytest.MonkeyPatch
):
    other = hub.add("somebody/words", "tokenizer.json", b"{}")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"^encoder 'net' needs 2 files.*no connection") as raised:
        fetch([file, other], "encoder 'net'")
    for each in (file, other):
        assert f"{each.url} ({each.size / 1e6:.1f} MB, SHA-256 {each.sha256}) to {each.place}" in str(raised.value)
    for each, content in ((file, CONTENT), (other, b"{}")):
        each.place.parent.mkdir(parents=True, exist_ok=True)
        each.place.write_bytes(content)
    assert fetch([file, other], "encoder 'net'") == [file.place, other.place]


def test_a_file_that_the_hub_does_not_have_is_named(hub: Hub, file: HubFile):
    hub.files.clear()
    with pytest.raises(ModelError, match="the server answered 404"):
        fetch([file], "encoder 'net'")


@pytest.mark.parametrize(
    "change",
    [
        {"repository": "../.."},
        {"repository": "somebody"},
        {"repository": "somebody/../net"},
        {"revision": "main"},
        {"path": "../model.onnx"},
        {"path": "/etc/passwd"},
        {"path": "a\\..\\b"},
        {"path": ""},
        {"sha256": "f"},
        {"size": "large"},
    ],
)
def test_what_stands_in_a_bundle_cannot_point_elsewhere(file: HubFile, change: dict[str, object]):
    with pytest.raises(ModelError, match="is no file of the hub"):
        replace(file, **change)
