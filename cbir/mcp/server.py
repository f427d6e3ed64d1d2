"""The server of the Model Context Protocol, on standard input and output.

In: collections. Out: a process that answers one client until that closes its end. Whatever else is printed goes to
standard error.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import anyio.to_thread
from mcp.server.fastmcp import FastMCP, Image
from mcp.server.stdio import stdio_server
from mcp.types import ToolAnnotations
from pydantic import Field

from cbir.mcp.tools import MOST_HITS, MOST_PIXELS, Tools

if TYPE_CHECKING:
    from cbir.serve.library import Library

_READS = ToolAnnotations(readOnlyHint=True, idempotentHint=True, openWorldHint=False)

Collection = Annotated[
    str | None, Field(description="Which collection, as list_collections names it; by default the default one.")
]
Id = Annotated[str | None, Field(description="The id of a stored picture, as a hit has it.")]
Path = Annotated[str | None, Field(description="Absolute path of a picture in one of the collections' folders.")]


def made_server(library: Library) -> FastMCP:
    """Return the server, with its tools."""
    tools = Tools(library)
    server = FastMCP(
        "cbir",
        instructions="Search collections of pictures by what they look like: by a picture, a stored one, or words. "
        "A hit's distance is Euclidean, between features: 0 is the same picture. Look at a hit with get_picture.",
        log_level="ERROR",
    )

    @server.tool(annotations=_READS)
    async def list_collections() -> dict[str, Any]:
        """List the collections of pictures: names, numbers of pictures, folders, and whether words are understood."""
        return await anyio.to_thread.run_sync(tools.list_collections)

    @server.tool(annotations=_READS)
    async def search(
        path: Path = None,
        text: Annotated[str | None, Field(description="Words, where the collection understands them.")] = None,
        id: Id = None,  # noqa: A002 - what the client sees
        k: Annotated[int, Field(ge=1, le=MOST_HITS, description="Hits at the most.")] = 10,
        where: Annotated[
            list[str] | None,
            Field(description="Conditions, all of which hold, such as label=cat, taken_at>=2024-06, folder=Rome/**."),
        ] = None,
        collection: Collection = None,
    ) -> dict[str, Any]:
        """Find the stored pictures that look most like a picture, or that words describe; closest first."""
        ask = partial(tools.search, path=path, text=text, identity=id, k=k, where=where or (), collection=collection)
        return await anyio.to_thread.run_sync(ask)

    @server.tool(annotations=_READS)
    async def get_picture(
        id: Id = None,  # noqa: A002 - what the client sees
        path: Path = None,
        collection: Collection = None,
        size: Annotated[int, Field(ge=16, le=MOST_PIXELS, description="Pixels of the longer side at the most.")] = 512,
    ) -> Image:
        """Look at a stored picture, or at one in a collection's folders, made small."""
        ask = partial(tools.picture, identity=id, path=path, collection=collection, size=size)
        content, kind = await anyio.to_thread.run_sync(ask)
        return Image(data=content, format=kind)

    return server


def run(library: Library) -> None:
    """Answer on standard input and output until the client closes them."""
    with _only_the_protocol() as output:
        anyio.run(_serve, made_server(library), output)


async def _serve(server: FastMCP, output: io.TextIOWrapper) -> None:
    async with stdio_server(stdout=anyio.wrap_file(output)) as (read, write):
        protocol = server._mcp_server
        await protocol.run(read, write, protocol.create_initialization_options())


@contextmanager
def _only_the_protocol() -> Iterator[io.TextIOWrapper]:
    """Yield standard output, and have whatever else is printed there, also by libraries, go to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(kept, "wb") as binary, io.TextIOWrapper(binary, encoding="utf-8") as output:
            yield output
            sys.stdout.flush()  # what was printed meanwhile is no answer
            os.dup2(kept, 1)
    finally:
        sys.stdout.flush()
