"""`python -m benchmarks [NAME ...]`: all, or those named; `python -m benchmarks figures [PART ...]` apart from them."""

import sys

from benchmarks import article, figures, ingest, search, served, training

ALL = {
    "training": training.main,
    "ingest": ingest.main,
    "search": search.main,
    "served": served.main,
    "article": article.main,
}


def main() -> None:
    names = sys.argv[1:] or list(ALL)
    if names[0] == "figures":
        figures.main(names[1:])
        return
    unknown = [name for name in names if name not in ALL]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(ALL)}")
    for name in names:
        ALL[name]()


main()
