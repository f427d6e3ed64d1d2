"""A collection whose last writer was stopped before it could close it: its points are checked as it is opened.

In: such a collection. Out: it can be searched and filled. If points are damaged,
a warning says so, at each opening until that is mended.
"""

from cbir.collection.embedded.points import EmbeddedCollection
from cbir.core.errors import CbirWarning, warn_caller
from cbir.core.words import counted

#: Values from which on a check takes so long that it is announced: about two seconds.
_LONG = 25_000_000


class DamageWarning(CbirWarning):
    """Points of a collection are damaged, or are being checked."""


def check_after_unclean_end(collection: EmbeddedCollection) -> None:
    """Check all points; close the collection if that fails.

    Raises
    ------
    CollectionError
        Points cannot even be read.
    """
    try:
        points, name = collection.count(), collection.name
        if points * collection.metadata.dimension > _LONG:
            warn_caller(
                f"whoever changed collection '{name}' last was stopped; its {counted(points, 'point')} are checked",
                DamageWarning,
            )
        damage = collection.verify()
    except BaseException:
        collection.close()
        raise
    if not damage.none:
        warn_caller(
            f"of collection '{name}', {damage}; what is found may be wrong: cbir info {name} --check says which, and "
            "what to do",
            DamageWarning,
        )
