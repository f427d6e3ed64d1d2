"""Whether the file of a stored place is gone, as far as this ingest can tell.

In: a source that was listed, and a place that was not in the list. Out: yes or
no. No, where nothing can be said: below a folder that could not be listed, in an
archive that was not looked into, of a format that cannot be read here, under a
root that is not there or empty (a disk that is not mounted), or where the source
is only a part of what it was.
"""

import os
from collections.abc import Sequence

from cbir.collection.metadata import Metadata
from cbir.collection.place import Place
from cbir.core.objects import is_object
from cbir.core.uris import is_absolute, path_of, uri_of
from cbir.ingest.sources.choice import Choice, Sieve
from cbir.ingest.sources.member_pictures import archive_above
from cbir.ingest.sources.source import Item, Source
from cbir.model.formats import suffix_of, unreadable_suffixes


class Gone:
    """Answers for one source and one collection.

    Parameters
    ----------
    source : Source
        Under the names that the collection knows its roots by.
    metadata : Metadata
        The collection's; they say where other roots are.
    complete : bool
        Whether all items of the source are compared: no limit, and no share of them.
    """

    def __init__(self, source: Source, metadata: Metadata, *, complete: bool) -> None:
        self._metadata = metadata
        # As paths: a file's uri may be an escaped one where its folder's is not.
        self._unlisted = {(name, path_of(uri)) for name, uri in source.unlisted}
        self._empty = frozenset(name for name in source.names if not source.count(name))
        self._roots: dict[str, bool] = {}
        self._top = next((name for name, path in metadata.roots.items() if path == os.path.dirname(path)), None)  # noqa: PTH120
        self._unreadable = unreadable_suffixes()
        self._sieves = {name: Sieve(Choice.of(chosen)) for name, chosen in source.choices.items() if chosen}
        self.names: Sequence[str] = source.names
        self.complete = complete and source.complete

    def located(self, place: Place) -> str:
        """Return the path of a stored place's file; see `Metadata.locate`."""
        return self._metadata.locate({"source": place.source, "uri": place.uri})

    def places_of(self, item: Item) -> list[tuple[str, str]]:
        """Return an item's place, and that of its file in a list of files, from before its folder was known."""
        if self._top is None or item.source == self._top or not item.location.startswith("/"):
            return [item.place]
        return [item.place, (self._top, uri_of(item.location.lstrip("/")))]

    def is_gone(self, place: Place) -> bool:
        """Tell whether the file of a place that was not listed is gone."""
        if self.complete and place.source in self.names:
            return place.source not in self._empty and not self.is_unclear(place.source, place.uri)
        root = self._metadata.roots.get(place.source, place.source)
        path = self.located(place)
        if not os.path.isabs(root) or not os.path.isabs(path) or not self._is_there(root):  # noqa: PTH117
            return False
        try:
            os.lstat(path)
        except NotADirectoryError:
            return archive_above(path) is None  # what is not listed of an archive may be in it
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return False

    def is_left_out(self, source: str, uri: str) -> bool:
        """Tell whether a place that was not listed has its file all the same: this run leaves it out.

        Of what lies in an archive or in storage, which would have to be asked for each, the rules alone tell.
        """
        path, sieve = self._metadata.locate({"source": source, "uri": uri}), self._sieves.get(source)
        by_rule = is_object(path)
        if not by_rule and os.path.lexists(path):
            return True
        if sieve is None or not (by_rule or archive_above(path)):
            return False
        return sieve.leaves_out(os.fsencode(path_of(uri)))

    def _is_there(self, root: str) -> bool:
        """Tell whether a folder has anything in it: where a disk is mounted, there may be an empty one without it."""
        if root not in self._roots:
            try:
                with os.scandir(root) as entries:
                    self._roots[root] = next(entries, None) is not None
            except OSError:
                self._roots[root] = False
        return self._roots[root]

    def is_unclear(self, source: str, uri: str) -> bool:
        """Tell whether nothing can be said about a place that was not listed.

        It is in what was not looked into, or of a format that was left out because what reads it is missing.
        """
        if self._unlisted:
            # A uri of format 1 is absolute, and its source is the root.
            path = uri.removeprefix(f"{source}/") if is_absolute(uri) else path_of(uri)
            ends = (at for at, character in enumerate(path) if character == "/")
            if any((source, above) in self._unlisted for above in ("", path, *(path[:end] for end in ends))):
                return True
        return suffix_of(uri) in self._unreadable
