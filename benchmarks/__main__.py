"""`python -m benchmarks [NAME ...]`: all, or those named; one alone may have parts: `figures [PART ...]`."""

import sys

from benchmarks import (
    article,
    duplicates,
    figures,
    filters,
    folder,
    ingest,
    memory,
    million,
    photographs,
    scale,
    search,
    serve,
    served,
    training,
)

ALL = {
    "training": training.main,
    "ingest": ingest.main,
    "search": search.main,
    "filters": filters.main,
    "served": served.main,
    "serve": serve.main,
    "article": article.main,
    "photographs": photographs.main,
    "duplicates": duplicates.main,
    "folder": folder.main,
}
#: Those whose name may be followed by some of their parts; the long ones, `figures`, `memory`, `million` and `scale`,
#: only by name.
PARTS = {
    "figures": figures.main,
    "photographs": photographs.main,
    "folder": folder.main,
    "serve": serve.main,
    "memory": memory.main,
    "million": million.main,
    "scale": scale.main,
}


def main() -> None:
    names = sys.argv[1:] or list(ALL)
    if names[0] in PARTS:
        PARTS[names[0]](names[1:])
        return
    unknown = [name for name in names if name not in ALL]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(ALL)}")
    for name in names:
        ALL[name]()


main()
