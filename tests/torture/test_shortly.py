"""Some commands killed in the middle lose nothing, and complete their work when they are run again."""

import random
from pathlib import Path

from tests.torture.crowd import side_by_side
from tests.torture.ground import Ground
from tests.torture.kills import kill, restore, retrain


def test_what_is_killed_loses_nothing_and_completes_its_work(tmp_path: Path):
    ground = Ground(tmp_path, random.Random(0), pictures=100)
    kill(ground, retrain, {"retrain": 0.5}, most=1)
    kill(ground, restore, {"restore": 0.1}, most=1)
    assert len(side_by_side(ground, searches=2, ingests=1)) == 3
    ground.assert_tidy()
