"""Contact sheets of duplicates: a row for each group, the picture to keep framed.

In: what was found, and a way to open it. Out: one or more Pillow images.
"""

from collections.abc import Callable, Iterator, Sequence

from PIL import Image

from cbir.core.errors import CbirError
from cbir.core.progress import Progress, silent
from cbir.model.distortion import workable
from cbir.search.duplicates.result import Duplicates, Member
from cbir.search.sheet import Cell, Heading, sheet

_SIDE = 180
#: Pictures in a row, and rows on a sheet; what does not fit into a row goes on in the next.
_ACROSS, _ROWS = 6, 12


def contact_sheets(
    found: Duplicates,
    open_picture: Callable[[Member], Image.Image],
    *,
    alike: bool = False,
    progress: Progress = silent,
) -> Iterator[Image.Image]:
    """Draw groups.

    Parameters
    ----------
    found : Duplicates
    open_picture : callable
        Opens a member's picture; one that cannot be opened leaves an empty frame.
    alike : bool
        Whether to draw pictures of one motif too, after the others.
    progress : Progress
        Stage `draw`.

    Yields
    ------
    PIL.Image.Image
        At most 12 rows each; none if there is no group.
    """
    rows = _rows(found, alike=alike)
    for start in range(0, len(rows), _ROWS):
        cells = []
        for number, (_, members) in enumerate(rows[start : start + _ROWS], start):
            progress("draw", number, len(rows))
            cells.append([_cell(member, title, open_picture, marked=marked) for member, title, marked in members])
        yield sheet(cells, [heading for heading, _ in rows[start : start + _ROWS]], _SIDE)
    progress("draw", len(rows), len(rows))


#: A member, its title, and whether it is the one to keep.
_Shown = tuple[Member, str, bool]


def _rows(found: Duplicates, *, alike: bool) -> list[tuple[Heading, Sequence[_Shown]]]:
    rows: list[tuple[Heading, Sequence[_Shown]]] = []
    for number, group in enumerate(found.groups, 1):
        copies = [(group.keep, "keep", True), *((other, other.how, False) for other in group.others)]
        rows += _wrapped(Heading(f"{number}", group.why), copies)
    for shots in found.alike if alike else ():
        rows += _wrapped(Heading("alike"), [(member, "", False) for member in shots])
    return rows


def _wrapped(heading: Heading, members: Sequence[_Shown]) -> list[tuple[Heading, Sequence[_Shown]]]:
    parts = [members[start : start + _ACROSS] for start in range(0, len(members), _ACROSS)]
    return [(heading if part is parts[0] else Heading(""), part) for part in parts]


def _cell(member: Member, title: str, open_picture: Callable[[Member], Image.Image], *, marked: bool) -> Cell:
    try:
        picture = workable(open_picture(member))
    except CbirError:
        picture = None
    size = f"{member.size[0]} x {member.size[1]}" if member.size else ""
    return Cell(picture, title if not size or not marked else f"{title}, {size}", name=member.uri, marked=marked)
