"""All points of a collection are read and compared with their checksums.

In: an open collection. Out: which points are not what cbir stored, or all that
are. Reads page by page, so that memory does not grow with the collection.
"""

from collections.abc import Iterator

from cbir.collection.checksum import fields_fit, of_vectors, vector_part
from cbir.collection.damage import Damage
from cbir.collection.interface import Collection
from cbir.collection.point import Page
from cbir.core.errors import warn_caller
from cbir.core.progress import Progress, silent
from cbir.core.words import counted

#: Points at once; of long vectors, fewer: a server's are numbers of Python's in between, of eight times the size.
_PAGE, _VALUES = 2048, 1 << 20


def find_damage(collection: Collection, progress: Progress = silent) -> Damage:
    """Read all points of a collection, and compare them with their checksums; stage `check`.

    Raises
    ------
    CollectionError
        Points cannot even be read.
    """
    vectors: list[str] = []
    fields: list[str] = []
    changed = unsigned = points = 0
    closed_with, ours = collection.closed_with, collection.signed
    total = collection.count()
    size = max(1, min(_PAGE, _VALUES // collection.metadata.dimension))
    for page in collection.scroll(page=size):
        rows = zip(page.ids, of_vectors(page.ids, page.vectors), page.payloads, page.checksums, strict=True)
        for identity, vector, payload, checksum in rows:
            stored = vector_part(checksum)
            if stored is None and not ours:
                unsigned += 1
            elif stored is None:
                fields.append(identity)
            elif stored != vector:
                vectors.append(identity)
            if checksum is not None and stored is not None and not fields_fit(identity, payload, checksum):
                changed += 1
                if ours:
                    fields.append(identity)
        points += len(page.ids)
        progress("check", points, max(total, points))
    return Damage(points, closed_with, tuple(vectors), tuple(fields), 0 if ours else changed, unsigned)


def sound_pages(collection: Collection, page: int) -> Iterator[Page]:
    """Yield all points but those whose vectors are damaged, so that these are not stored anew as if they were right.

    A warning says how many were left out.
    """
    left_out = 0
    for each in collection.scroll(page=page):
        sums = zip(of_vectors(each.ids, each.vectors), each.checksums, strict=True)
        rows = [row for row, (now, stored) in enumerate(sums) if vector_part(stored) in (None, now)]
        if len(rows) < len(each.ids):
            left_out += len(each.ids) - len(rows)
            each = each.only(rows)
        if rows:
            yield each
    if left_out:
        name, are = collection.name, "is" if left_out == 1 else "are"
        warn_caller(
            f"of collection '{name}', {counted(left_out, 'damaged point')} {are} left out: "
            f"cbir info {name} --check says which, and what to do"
        )
