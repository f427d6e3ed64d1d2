"""The picture of the worst misses: an edited copy, its original, and what came first instead.

In: a run of edited copies, and its searcher to open the pictures. Out: a sheet
with a row for each miss.
"""

from collections.abc import Mapping, Sequence

from PIL import Image

from cbir.core.errors import CbirError
from cbir.evaluate.copies.run import CopiesRun, Miss, Stored
from cbir.model.distortion import Distortion, workable
from cbir.model.edited import edited
from cbir.search.searcher import Searcher
from cbir.search.sheet import Cell, Heading, sheet

#: Larger than a search's: what to look for is whether two photographs are alike.
_SIDE = 180
_ROWS = 8


def worst(run: CopiesRun, most: int = _ROWS) -> list[Miss]:
    """Choose misses to show: the worst of each edit, then the second, ..., so that no edit takes all the rows.

    Parameters
    ----------
    run : CopiesRun
    most : int
        Where there are more edits with misses than this, those with the most misses are shown.

    Returns
    -------
    list of Miss
        In the order of the edits; of one edit, the worst first.
    """
    missed = (run.places != 0).sum(axis=0)
    turns = []
    for edit in range(len(run.edits)):
        found = [miss for miss in run.misses if miss.edit == edit]
        for turn, miss in enumerate(sorted(found, key=lambda miss: (miss.closeness, miss.picture))):
            turns.append((turn, -int(missed[edit]), edit, miss))
    chosen = sorted(turns, key=lambda each: each[:3])[:most]
    return [miss for *_, miss in sorted(chosen, key=lambda each: (each[2], each[0]))]


def misses_picture(
    run: CopiesRun, misses: Sequence[Miss], edits: Mapping[str, Distortion], searcher: Searcher
) -> Image.Image:
    """Draw misses, a row each.

    Parameters
    ----------
    run : CopiesRun
    misses : sequence of Miss
        At least one of the run's.
    edits : mapping of str to Distortion
        By the names that the run has for them.
    searcher : Searcher
        Opens the pictures; one that cannot be opened leaves an empty frame.

    Returns
    -------
    PIL.Image.Image
    """
    rows, headings = [], []
    for miss in misses:
        original, edit = run.pictures[miss.picture], run.edits[miss.edit]
        shown = _opened(searcher, original)
        copy = None if shown is None else edited(workable(shown), edits[edit.name], run.about["seed"], original.uri)
        place = int(run.places[miss.picture, miss.edit])
        rows.append(
            [
                Cell(copy, "searched for this copy", marked=True),
                Cell(shown, f"its original: {ordinal(place)}", name=original.uri),
                Cell(_opened(searcher, miss.found), "came first instead", name=miss.found.uri),
            ]
        )
        missed = int((run.places[:, miss.edit] != 0).sum())
        headings.append(Heading(edit.name, f"missed {missed} of {len(run)}"))
    return sheet(rows, headings, _SIDE)


def ordinal(place: int) -> str:
    """Return a place, the first being 0, as people say it."""
    return "not among ten" if place < 0 else ("1st", "2nd", "3rd")[place] if place < 3 else f"{place + 1}th"


def _opened(searcher: Searcher, picture: Stored) -> Image.Image | None:
    try:
        return searcher.open_stored({"source": picture.source, "uri": picture.uri})
    except CbirError:
        return None
