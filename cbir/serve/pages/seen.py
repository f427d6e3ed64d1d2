"""`/c/{name}/seen`: a picture as the encoder sees it, and the article's denoising with a slider for the noise.

In: a picture, as the search page's address has it; without one, a stored picture is an example. Out: the page, which
says all without a script; with one, the slider is followed at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import Response

from cbir.collection.point import is_point_id
from cbir.core.errors import CbirError
from cbir.serve.gate import BusyError
from cbir.serve.pages.asked import Asked
from cbir.serve.pages.frame import page, pages_router, status_of
from cbir.serve.pages.shown import example
from cbir.serve.routes.seen import MOST_NOISE, looked
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.serve.state import State

#: Stored pictures that are offered.
_OFFERED = 12

router = pages_router()


@router.get("/c/{name}/seen")
async def seen_page(request: Request, name: str, served: Served) -> Response:
    """Show how a picture was seen."""
    given = Asked.of(request.query_params)
    offered = await served.gate.run(_offered, served, name)
    q = given.q if given.q or not offered else f"id:{offered[0]}"
    asked = Asked(q=q, box=given.box if given.q else "")
    answer, problem, status = None, "", 200
    if q:
        try:
            noise, seed = _number(request, "noise"), _number(request, "seed")
            answer = await served.gate.run(
                looked, served, name, asked, noise and min(noise, MOST_NOISE), int(min(seed or 0, 2**31))
            )
        except (CbirError, BusyError) as error:
            status, problem = status_of(request, error)
    shown = {"answer": answer, "problem": problem, "asked": asked, "query": example(name, q), "offered": offered}
    return await page(request, served, "seen.html", name, status, most=MOST_NOISE, **shown)


def _offered(served: State, name: str) -> list[str]:
    searcher = served.library.searcher(name)
    with searcher.used() as collection:
        first: Any = next(iter(collection.scroll(vectors=False, fields=[], page=_OFFERED)), None)
        return [] if first is None else [each for each in first.ids if is_point_id(each)][:_OFFERED]


def _number(request: Request, name: str) -> float | None:
    """Return a number of the address that is not negative; None where it is none."""
    try:
        number = float(request.query_params.get(name, ""))
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
