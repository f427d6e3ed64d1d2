"""`python -m benchmarks [NAME ...]`: all, or those named; one alone may have parts: `figures [PART ...]`."""

import sys

from benchmarks import (
    article,
    cluster,
    duplicates,
    figures,
    filters,
    folder,
    ingest,
    memory,
    million,
    million_served,
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
#: Those whose name may be followed by some of their parts; the long ones, which are not in ALL, only by name.
PARTS = {
    "figures": figures.main,
    "photographs": photographs.main,
    "folder": folder.main,
    "serve": serve.main,
    "memory": memory.main,
    "cluster": cluster.main,
    "million": million.main,
    "million_served": million_served.main,
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
