"""What all requests share: the collections, the gate, the encoders."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from cbir.serve.background import Background
from cbir.serve.counted import Counted
from cbir.serve.decoding import Decoding
from cbir.serve.distances import Distances
from cbir.serve.encoding import Encoding
from cbir.serve.gate import Gate
from cbir.serve.health import Health
from cbir.serve.ingesting import Ingesting
from cbir.serve.mapped import Maps
from cbir.serve.metrics import Metrics
from cbir.serve.searching import Searching
from cbir.serve.seeing import Seeing
from cbir.serve.stored import Pictures
from cbir.serve.thumbnails import Thumbnails
from cbir.serve.tokens import Tokens
from cbir.serve.uploads import Uploads

if TYPE_CHECKING:
    from cbir.core.progress import Progress
    from cbir.search.duplicates.result import Duplicates
    from cbir.search.searcher import Searcher
    from cbir.serve.config import ServeConfig
    from cbir.serve.library import Library

#: Pictures to look at that may wait: of as many as some open pages ask for at once.
_LOOKED_AT = 256


class State:
    """What all requests share; close it.

    Parameters
    ----------
    library : Library
    config : ServeConfig
    """

    def __init__(self, library: Library, config: ServeConfig) -> None:
        self.library = library
        self.config = config
        self.tokens = Tokens(config)
        self.gate = Gate(config.workers, config.waiting)
        self.metrics = Metrics(self.gate)
        self.health = Health(library)
        self.distances = Distances()
        self.ingesting = Ingesting()
        self.duplicated = Background(_duplicates, "load", alone="is being looked through for duplicates")
        self.maps = Maps(library.settings)
        self.decoding = Decoding(config.most_pixels)
        library.decode = self.decoding.picture
        self.uploads = Uploads(self.decoding, config.uploads_bytes)
        self.seeing = Seeing()
        self.counted = Counted(keeping=library.settings.qdrant_url is None)
        self.pictures = Pictures(Decoding(config.most_pixels))
        #: For pictures to look at, of which a page asks for many: a search does not wait for these.
        self.looking = Gate(config.workers, _LOOKED_AT)
        self.thumbnails = Thumbnails(library.settings.cache / "thumbnails", config.thumbnails_bytes)
        self._lock = threading.Lock()
        self._encodings: dict[str, Encoding] = {}
        #: What searched each collection last.
        self._used: dict[str, Searcher] = {}
        self._searchings: dict[str, Searching] = {}

    def encoding(self, searcher: Searcher) -> Encoding:
        """Return the encoder of a collection, which batches what requests ask at the same time."""
        key = searcher.bundle.fingerprint
        with self._lock:
            self._used[searcher.name] = searcher
            self._used = {name: each for name, each in self._used.items() if not each.closed}
            if key not in self._encodings:
                self._encodings[key] = Encoding(lambda pixels: searcher.encoder.encode(pixels), self.metrics.encoded)
            found = self._encodings[key]
            used = {key, *(each.bundle.fingerprint for each in self._used.values())}
            unused = [self._encodings.pop(other) for other in {*self._encodings} - used]
        for each in unused:  # of collections that have another encoder by now, or are gone
            each.close()
        return found

    def searching(self, searcher: Searcher) -> Searching:
        """Return the searches of a collection, which are batched when requests ask at the same time."""
        with self._lock:
            return self._searchings.setdefault(searcher.name, Searching())

    def close(self) -> None:
        """Close all."""
        self.health.close()
        self.distances.close()
        self.duplicated.close()
        self.maps.close()
        self.decoding.close()
        self.pictures.decoding.close()
        for encoding in self._encodings.values():
            encoding.close()
        self.library.close()


def _duplicates(searcher: Searcher, progress: Progress) -> Duplicates:
    from cbir.search.duplicates import find

    return find.find_duplicates(searcher, progress=progress)


async def _state(request: Request) -> State:  # async: what is not, FastAPI calls in a thread
    state: State = request.app.state.cbir
    return state


Served = Annotated[State, Depends(_state)]
