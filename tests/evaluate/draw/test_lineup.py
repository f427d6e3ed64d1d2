"""Line-ups of encoders."""

import numpy as np
from PIL import Image

from cbir.evaluate.draw.lineup import lineup
from cbir.evaluate.run import Run, pack
from cbir.ingest.sources.source import Item
from cbir.search.sheet import CELL


def ranking(relevant: list[bool]) -> Run:
    """One query `q` over so many images, `0` closest."""
    ids = np.array([[str(n) for n in range(len(relevant))]])[:, :10]
    distances = np.arange(ids.size, dtype=np.float32)[None]
    bits = np.array([relevant])
    facts = {"collection": "c", "database": len(relevant), "ranks": len(relevant), "about": {}}
    packed = {"relevant": pack(bits), "tied": pack(np.zeros_like(bits)), "query_uris": np.array(["q"])}
    packed |= {"copies": np.zeros(1, int)}
    return Run(
        **facts,
        **packed,
        exact_ids=ids,
        exact_distances=distances,
        served_ids=ids,
        served_distances=distances,
    )


def test_a_lineup_frames_the_hits_of_another_label():
    shown = {key: Item(key, 7, "source", lambda: Image.new("L", (28, 28))) for key in ["q", *map(str, range(12))]}
    runs = {"good": ranking([True] * 12), "bad": ranking([True, False] * 6), "none": ranking([False] * 3)}
    drawn = np.asarray(lineup(runs, shown)).astype(int)
    red = (drawn[..., 0] > 200) & (drawn[..., 1] < 60)
    tops = 12 + CELL + 21 + 12 + np.arange(3) * (CELL + 12)
    framed = [int(red[top : top + CELL].sum()) for top in tops]
    assert framed[0] == 0
    # Of nine, 2, 4, 6 and 8 are wrong; of three, all: a frame takes the same everywhere.
    assert framed[1] / 4 == framed[2] / 3 > 300
