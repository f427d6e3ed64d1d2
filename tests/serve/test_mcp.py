"""`cbir mcp`, asked by the protocol's own client over a real process's standard input and output."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image

import cbir
from cbir.collection import home as homes
from cbir.core.errors import CbirError
from cbir.core.settings import read_settings
from cbir.mcp.paths import RefusedError, permitted
from cbir.mcp.tools import Tools
from cbir.serve.library import Library
from tests.commands import run_process
from tests.conftest import picture
from tests.serve.test_beside import serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, and beside it a secret one that a link in it leads to."""
    folder = tmp_path_factory.mktemp("mcp") / "blobs"
    (folder / "cat").mkdir(parents=True)
    for seed in range(6):
        picture(seed).save(folder / "cat" / f"{seed}.png")
    picture(7, (400, 300)).save(folder / "cat" / "large.png")
    picture(8).save(folder.with_name("secret.png"))
    return folder


@pytest.fixture(scope="module")
def home(_trained: Path, folder: Path) -> Path:
    """A home with digits and the folder."""
    home = folder.with_name("home")
    shutil.copytree(_trained, home)
    run_process("ingest", folder, "--model", home / "models" / "digits", CBIR_HOME=str(home))
    (folder / "cat" / "link.png").symlink_to(folder.with_name("secret.png"))
    return home


Call = Callable[..., Awaitable[CallToolResult]]


def asked(home: Path, ask: Callable[[ClientSession], Awaitable[None]]) -> None:
    """Start `cbir mcp`, and ask it something."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "cbir", "mcp"], env={**os.environ, "CBIR_HOME": str(home)}
    )

    async def session() -> None:
        with anyio.fail_after(100):
            async with stdio_client(server) as (read, write), ClientSession(read, write) as client:
                await client.initialize()
                await ask(client)

    anyio.run(session)


def values(answer: CallToolResult) -> dict[str, Any]:
    assert not answer.isError, answer.content
    (content,) = answer.content
    assert isinstance(content, TextContent)
    found: dict[str, Any] = json.loads(content.text)
    return found


def refusal(answer: CallToolResult) -> str:
    assert answer.isError
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


def opened(answer: CallToolResult) -> Image.Image:
    assert not answer.isError, answer.content
    (content,) = answer.content
    assert isinstance(content, ImageContent)
    image = Image.open(io.BytesIO(base64.b64decode(content.data)))
    assert content.mimeType == f"image/{(image.format or '').lower()}"
    return image


def test_an_assistant_lists_searches_and_looks(home: Path, folder: Path):
    async def ask(client: ClientSession) -> None:
        tools = (await client.list_tools()).tools
        assert sorted(tool.name for tool in tools) == ["get_picture", "list_collections", "search"]
        assert all(tool.annotations and tool.annotations.readOnlyHint for tool in tools)
        listed = values(await client.call_tool("list_collections"))
        assert listed["default"] == "blobs"
        assert {each["name"]: each["pictures"] for each in listed["collections"]} == {"blobs": 7, "digits": 1500}

        query = str(folder / "cat" / "3.png")
        found = values(await client.call_tool("search", {"path": query, "k": 3}))
        assert found["collection"] == "blobs"
        assert found["hits"][0]["path"] == query
        assert len(found["hits"]) == 3
        digits = {"id": None, "path": query, "collection": "digits", "where": ["label=7"], "k": 2}
        hits = values(await client.call_tool("search", digits))["hits"]
        assert [hit["label"] for hit in hits] == [7, 7]
        like = values(await client.call_tool("search", {"id": hits[0]["id"], "collection": "digits"}))["hits"]
        assert hits[0]["id"] not in [hit["id"] for hit in like]

        seven = {"id": hits[0]["id"], "collection": "digits"}
        assert opened(await client.call_tool("get_picture", seven)).size == (8, 8)
        large = {"path": str(folder / "cat" / "large.png"), "size": 200}
        assert opened(await client.call_tool("get_picture", large)).size == (200, 150)

        secret = folder.with_name("secret.png")
        for path in (str(secret), str(folder / "cat" / "link.png"), f"{folder}/../secret.png"):
            assert "is not below the folders" in refusal(await client.call_tool("search", {"path": path}))
            assert "is not below the folders" in refusal(await client.call_tool("get_picture", {"path": path}))
        for path in ("cat/3.png", "http://127.0.0.1/1.png", "digits:queries/4"):
            assert "no absolute path" in refusal(await client.call_tool("search", {"path": path}))
        assert "words" in refusal(await client.call_tool("search", {"text": "a cat"}))
        assert "give one of" in refusal(await client.call_tool("search", {}))
        assert "holds no point 'zzz'" in refusal(await client.call_tool("get_picture", {"id": "zzz"}))
        assert "no collection" in refusal(await client.call_tool("search", {"path": query, "collection": "nothing"}))
        # Others may have the collection while the assistant thinks.
        assert run_process("search", query, "--json", CBIR_HOME=str(home)).stdout

    asked(home, ask)


def test_beside_a_server_it_borrows_and_goes_on_when_that_ends(home: Path, folder: Path):
    query = {"path": str(folder / "cat" / "3.png")}

    async def ask(client: ClientSession) -> None:
        with serving(home) as (_, http):
            assert http.get("/api/collections/blobs").json()["points"] == 7
            first = values(await client.call_tool("search", query))
            assert http.get("/api/collections/blobs").json()["points"] == 7
        assert values(await client.call_tool("search", query)) == first

    asked(home, ask)


def test_only_the_protocol_is_on_standard_output(home: Path):
    code = """
import os, sys
from cbir.mcp.tools import Tools
def noisy(self):
    print("from Python"); os.write(1, b"from a library\\n"); os.system("echo from a program")
    return {}
Tools.list_collections = noisy
sys.argv = ["cbir", "mcp"]
from cbir.cli import main
main()
"""
    asks = [
        {
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-03-26",
                "capabilities": {},
                "clientInfo": {"name": "t", "version": "0"},
            },
        },
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "list_collections", "arguments": {}}},
    ]
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CBIR_HOME": str(home)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for each in asks:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **each}) + "\n")
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdin.close()
        rest, said = process.stdout.read(), process.stderr.read()
        assert process.wait(30) == 0
    assert [answer["id"] for answer in answers] == [1, 2]
    assert rest == ""
    for line in ("from Python", "from a library", "from a program"):
        assert line in said


def test_without_the_sdk_the_error_names_the_extra(home: Path):
    code = "import sys; sys.modules['mcp'] = None; sys.argv = ['cbir', 'mcp']; from cbir.cli import main; main()"
    environment = {**os.environ, "CBIR_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "cbir: cbir mcp needs the extra 'mcp': pip install '.[mcp]' in cbir's folder\n"


@pytest.mark.parametrize("path", ["", "x.png", "\0", "/", "/etc/passwd", "~/x.png", "/root\0/x", "/tmp/../etc/passwd"])
def test_what_is_no_path_below_a_root_is_refused(tmp_path: Path, path: str):
    with pytest.raises(RefusedError):
        permitted(path, [str(tmp_path)])


def test_a_folder_whose_name_begins_as_a_roots_is_not_below_it(tmp_path: Path):
    (tmp_path / "photos-private").mkdir()
    with pytest.raises(RefusedError):
        permitted(str(tmp_path / "photos-private" / "1.png"), [str(tmp_path / "photos")])
    assert permitted(str(tmp_path / "photos" / "1.png"), [str(tmp_path / "photos")])


def test_a_stored_picture_outside_of_its_folder_is_not_shown_whatever_a_payload_says(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Other tools write payloads too; of files that were listed, it must be the very content."""
    monkeypatch.setenv("CBIR_HOME", str(tmp_path / "home"))
    pictures, secret = tmp_path / "pictures", tmp_path / "secret.png"
    pictures.mkdir()
    for seed in range(2):
        picture(seed).save(pictures / f"{seed}.png")
    picture(3).save(secret)
    (tmp_path / "list.txt").write_text(f"{folder / 'cat' / '1.png'}\n")
    cbir.ingest(pictures, model=bundle)
    cbir.ingest(tmp_path / "list.txt", model=bundle, collection="listed")
    with closing(Library(read_settings())) as library:
        tools = Tools(library)

        def shown(collection: str, identity: str) -> bytes:
            return tools.picture(identity=identity, path=None, collection=collection, size=100)[0]

        for collection in ("pictures", "listed"):
            with closing(homes.embedded_engine(read_settings()).open(collection)) as opened:
                page = next(opened.scroll())
                identity, payload = page.ids[0], page.payloads[0]
                assert shown(collection, identity)
                for uri in ("../secret.png", str(secret), f"file://{secret}", f"{secret}"[1:]):
                    opened.replace_payloads([identity], [{**payload, "uri": uri}])
                    with pytest.raises(CbirError, match=r"is not below|does not exist"):
                        shown(collection, identity)
                opened.replace_payloads([identity], [payload])
            assert shown(collection, identity)
