"""Find what a collection holds more than once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from cbir.core.progress import Progress, silent
from cbir.verbs.open import open  # noqa: A004

if TYPE_CHECKING:
    from cbir.collection.filter import Where
    from cbir.search.duplicates.options import DuplicatesKeywords
    from cbir.search.duplicates.result import Duplicates


def duplicates(
    collection: str | None = None,
    *,
    where: Where | str | Sequence[str] | None = None,
    within: str | None = None,
    sheet: str | Path | None = None,
    alike: bool = False,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
    **options: Unpack[DuplicatesKeywords],
) -> Duplicates:
    """Group stored pictures that are the same, whether byte for byte or edited; nothing is deleted.

    Pictures whose features are near are opened and compared by geometry, so that an edited copy (smaller, cut, turned,
    mirrored, compressed, with a caption, a screenshot) is told from another photograph of the same motif.

    Parameters
    ----------
    collection : str, optional
        By default the only one, else the one ingested last.
    where : Filter, Mapping, str or sequence of str, optional
        Look only among the points that pass, and of their places only at those that pass: a filter, payload fields with
        the values allowed in each, or conditions as `--where` takes them, of which all must hold.
    within : str, optional
        Look only among points near a place: `48.85,2.35,10km`.
    sheet : str or Path, optional
        Draw the groups into this picture file; if they do not fit, into `NAME-2.png` and so on as well.
    alike : bool
        Whether to draw pictures that are only alike, too.
    qdrant_url : str, optional
        Qdrant server; by default `QDRANT_URL`, else collections are embedded.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`; also `CBIR_DATA`.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).
    max_distance : float, optional
        Compare pictures whose features are no farther apart; by default calibrated from the collection.
    nearest : int
        Compare each picture with at most so many others.
    pictures : int
        How many are edited to calibrate the distance.
    seed : int
        Chooses these, and what is random in their edits.

    Returns
    -------
    Duplicates

    Raises
    ------
    CbirError
        No such collection, none of its pictures can be opened, or the filter cannot be read.

    Examples
    --------
    >>> import cbir
    >>> found = cbir.duplicates("photos", sheet="duplicates.png")  # doctest: +SKIP
    >>> spare = found.paths()  # doctest: +SKIP
    """
    from cbir.collection.filter import both
    from cbir.collection.filter_text import parse_within
    from cbir.collection.stored_fields import read_where
    from cbir.collection.unmatched import warn_of_unmatched
    from cbir.search.duplicates.contact import contact_sheets
    from cbir.search.duplicates.find import find_duplicates
    from cbir.search.duplicates.options import DuplicatesOptions
    from cbir.search.sheet import save_picture

    validated = DuplicatesOptions(**options)
    with open(collection, qdrant_url=qdrant_url, data_dir=data_dir) as searcher:
        near = None if within is None else parse_within(within)
        chosen = both(read_where(where, searcher.collection), near)
        found = find_duplicates(searcher, validated, where=chosen, progress=progress)
        if not found.points and chosen is not None:
            warn_of_unmatched(chosen, searcher.collection)
        if sheet is not None:
            first = Path(sheet)
            pages = contact_sheets(
                found, lambda member: searcher.open_stored(member.payload), alike=alike, progress=progress
            )
            for number, page in enumerate(pages, 1):
                save_picture(page, first if number == 1 else first.with_stem(f"{first.stem}-{number}"))
    return found
