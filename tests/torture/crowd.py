"""Many commands at once on one collection: each is right, or says that another process is at work."""

import json
import re

from tests.torture.ground import ENCODER, Ground
from tests.torture.kills import NAME
from tests.torture.process import Ended, ended, start

#: What one command may say of another that is at work.
AT_WORK = re.compile(r"another process|other process|in use|being filled|is busy")


def side_by_side(ground: Ground, searches: int = 6, ingests: int = 4) -> list[str]:
    """Search and fill a collection from many processes; return how they ended."""
    if not ground.embedded().exists(NAME):
        ground.run("ingest", *ground.roots, "-c", NAME, "--encoder", ENCODER)
    ground.run("ingest", *ground.roots, "-c", NAME, "--prune", "--force")
    kept = ground.assert_complete(ground.embedded(), NAME)
    query = next(
        root / uri for root in ground.roots for places, _ in kept.values() for name, uri in places if name == root.name
    )
    kinds = ["search"] * searches + ["ingest"] * ingests
    ground.chance.shuffle(kinds)
    arguments = {
        "search": ["search", str(query), "-c", NAME, "-k", "1", "--json"],
        "ingest": ["ingest", *map(str, ground.roots), "-c", NAME],
    }
    processes = [(kind, start(arguments[kind], ground.environment())) for kind in kinds]
    outcomes = []
    for kind, process in processes:
        end = ended(process)
        end.assert_understood()
        if kind == "search" and end.code == 0:
            _assert_found(end)
        assert end.code == 0 or (end.code == 1 and AT_WORK.search(end.said)), f"{kind} returns {end.code}: {end.said}"
        outcomes.append(f"{kind} {'right' if end.code == 0 else 'gave way'}")
    ground.run("ingest", *ground.roots, "-c", NAME, "--prune", "--force")
    ground.assert_unbroken(ground.embedded(), NAME)
    return outcomes


def _assert_found(end: Ended) -> None:
    hit = json.loads(end.said[end.said.index("{") :])["queries"][0]["hits"][0]
    assert hit["distance"] < 1e-3, f"a stored picture does not find itself: {hit}"
