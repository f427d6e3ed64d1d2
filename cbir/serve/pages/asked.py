"""What a page's address asks for: `?q=id:...&like=up:...&where=...&max=...&box=...`, so that it can be shared.

In: a query string. Out: an `Asked`, the request that it means, and the addresses of what may be asked next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pydantic import ValidationError

from cbir.collection.point import is_point_id
from cbir.core.errors import CbirError
from cbir.serve.schemas import DEEPEST, SearchRequest

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

#: Pictures of one page.
PAGE = 48
#: What an example is, as the address has it, and the request's name for it.
_KINDS = {"id": "id", "up": "upload", "text": "text"}


class AskedError(CbirError):
    """An address that asks for nothing that there is."""


@dataclass(frozen=True)
class Asked:
    """What an address asks for.

    Attributes
    ----------
    q : str
        `id:POINT`, `up:UPLOAD` or `text:WORDS`; empty: all pictures, in no particular order.
    box : str
        `left,top,right,bottom` in shares of the query's picture; empty: all of it.
    like, unlike : tuple of str
        Further examples.
    where : tuple of str
        Conditions, all of which must be true.
    max : str
        The distance that hits may have; empty: any.
    offset : int
        Pictures before these, which are closer.
    after : str
        Where nothing is asked: the id of the picture before these; empty: from the first on.
    """

    q: str = ""
    box: str = ""
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    max: str = ""
    offset: int = 0
    after: str = ""

    @classmethod
    def of(cls, given: QueryParams) -> Asked:
        """Read a query string; words may stand in `text` as well, which is what a form sends."""
        words, offset = given.get("text", "").strip(), given.get("offset", "")
        after = given.get("after", "")
        return cls(
            q=f"text:{words}" if words else given.get("q", ""),
            box="" if words else given.get("box", ""),
            like=_distinct(given.getlist("like")),
            unlike=_distinct(given.getlist("unlike")),
            where=_distinct(given.getlist("where")),
            max=given.get("max", ""),
            offset=min(int(offset), DEEPEST) if offset.isascii() and offset.isdigit() else 0,
            after=after if is_point_id(after) else "",
        )

    @property
    def examples(self) -> tuple[str, ...]:
        """What hits should be like, the query first."""
        return ((self.q,) if self.q else ()) + self.like

    def query(self, **changed: Any) -> str:
        """Return the query string, `?` before it, with some of it changed; from the first picture on."""
        asked = replace(self, **{"offset": 0, "after": "", **changed})
        named = [
            ("q", asked.q),
            ("box", asked.box),
            *(("like", each) for each in asked.like),
            *(("unlike", each) for each in asked.unlike),
            *(("where", each) for each in asked.where),
            ("max", asked.max),
            ("offset", asked.offset or ""),
            ("after", asked.after),
        ]
        given = [(name, value) for name, value in named if value]
        return "?" + urlencode(given, safe=":,/") if given else "?"

    def request(self) -> SearchRequest | None:
        """Return what to search for; None: nothing, all pictures are meant.

        Raises
        ------
        AskedError
        """
        if not self.examples:
            if self.unlike:
                raise AskedError("mark a picture that the others should be like as well")
            return None
        like, unlike = ([_example(each) for each in some] for some in (self.examples, self.unlike))
        if self.box and self.q:
            like[0]["box"] = _numbers(self.box)
        alone = like[0] if len(like) == 1 and not unlike else {"like": like, "unlike": unlike}
        farthest = _numbers(self.max)[0] if self.max else None
        try:
            return SearchRequest.model_validate(
                {
                    **alone,
                    "k": PAGE,
                    "offset": self.offset,
                    "where": [each for each in self.where if each.strip()],
                    "max_distance": farthest,
                }
            )
        except ValidationError as error:
            first = error.errors()[0]
            place = next((f"{part}: " for part in first["loc"] if part in ("box", "max_distance")), "")
            raise AskedError(place + first["msg"].removeprefix("Value error, ")) from error


def _distinct(given: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in given if each.strip()))


def _example(text: str) -> dict[str, Any]:
    kind, _, value = text.partition(":")
    if kind not in _KINDS or not value:
        raise AskedError(f"'{text}' is none of id:POINT, up:UPLOAD and text:WORDS")
    return {_KINDS[kind]: value}


def _numbers(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise AskedError(f"'{text}' should be numbers") from None
