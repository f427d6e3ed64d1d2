"""`/c/{name}/duplicates`: the same picture several times, side by side, to choose what need not be kept.

In: what was found in the background. Out: groups. What somebody marks stays in the browser, which writes the list of
paths; nothing is deleted here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import Response

from cbir import documents
from cbir.collection.point import Hit, label_of
from cbir.core.words import size
from cbir.serve.pages.asked import Asked
from cbir.serve.pages.frame import page, pages_router
from cbir.serve.pages.shown import shown
from cbir.serve.schemas import HitAnswer
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.collection.metadata import Metadata
    from cbir.search.duplicates.result import Group, Member
    from cbir.serve.state import State

#: Groups of one page.
_GROUPS = 50
_DEEPEST = 10**9

router = pages_router()


@router.get("/c/{name}/duplicates")
async def duplicates_page(request: Request, name: str, served: Served) -> Response:
    """Show what a collection holds more than once."""
    asked = request.query_params.get("offset", "")
    offset = min(int(asked), _DEEPEST) if asked.isascii() and asked.isdigit() else 0
    told = await served.gate.run(_told, served, name, offset)
    return await page(request, served, "duplicates.html", name, offset=offset, **told)


def _told(served: State, name: str, offset: int) -> dict[str, Any]:
    searcher = served.library.searcher(name)
    looked = served.duplicated.of(searcher)
    found = looked.result
    groups = () if found is None else found.groups
    return {
        "looked": looked,
        "found": found,
        "spare_size": None if found is None else size(found.spare_bytes),
        "spare": [] if found is None else found.paths(),
        "paths": [[member.path for member in (group.keep, *group.others)] for group in groups],
        "groups": [_group(name, group, searcher.metadata) for group in groups[offset : offset + _GROUPS]],
        "more": offset + _GROUPS if offset + _GROUPS < len(groups) else None,
    }


def _group(name: str, group: Group, metadata: Metadata) -> dict[str, Any]:
    members = [_member(name, group.keep, f"best to keep: {group.why}", metadata)]
    members += [_member(name, other, other.how, metadata) for other in group.others]
    return {"exact": group.is_exact, "members": members}


def _member(name: str, member: Member, words: str, metadata: Metadata) -> dict[str, Any]:
    hit = Hit(member.id, 0.0, label_of(member.payload), member.uri, member.payload)
    facts = [f"{member.size[0]} x {member.size[1]}"] if member.size else []
    facts += [] if member.bytes is None else [size(member.bytes)]
    return {
        "shown": shown(name, HitAnswer(**documents.hit(hit, metadata)), Asked(), near=False),
        "uri": member.uri,
        "path": member.path,
        "words": words,
        "facts": ", ".join(facts),
    }
