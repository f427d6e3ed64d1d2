"""`make torture`: kill commands for some minutes, and see that nothing is lost and everything is completed.

What goes wrong is printed with its seed, and its folder is kept: `python -m tests.torture --seed 123` does the same
again, although a process that is killed after as many seconds need not be where it was.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.qdrant import BINARY
from tests.torture.crowd import side_by_side
from tests.torture.ground import Ground
from tests.torture.kills import WORKS, kill
from tests.torture.on_ray import POSSIBLE, on_ray
from tests.torture.power_cut import power_cut

#: Pictures to begin with: enough for some batches to be under way.
PICTURES = 400


def main() -> int:
    """Run until the time is over; return how many rounds went wrong."""
    arguments = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=240)
    arguments.add_argument("--seed", type=int, help="one round, once")
    given = arguments.parse_args()
    for name in ("QDRANT_URL", "QDRANT_API_KEY", "CBIR_HOME"):
        os.environ.pop(name, None)
    seeds = [given.seed] if given.seed is not None else iter(lambda: random.randrange(2**32), None)
    begun, wrong, took, outcomes = time.monotonic(), 0, dict[str, float](), Counter[str]()
    for seed in seeds:
        if time.monotonic() - begun > given.seconds and given.seed is None:
            break
        base = Path(tempfile.mkdtemp(prefix="cbir-torture-"))
        # Whatever it is, it is what is looked for.
        try:
            for outcome in _round(seed, base, begun + given.seconds, took):
                outcomes[outcome] += 1
        except BaseException as error:  # noqa: BLE001
            print(f"seed {seed}, {base}: {traceback.format_exc()}", flush=True)
            wrong += 1
            if isinstance(error, KeyboardInterrupt):
                break
        else:
            shutil.rmtree(base)
    print(f"{sum(outcomes.values()):,} commands: {dict(outcomes.most_common())}; {wrong} went wrong", flush=True)
    return wrong


def _round(seed: int, base: Path, until: float, took: dict[str, float]) -> list[str]:
    """Torture one home with each command, in any order; return how the commands ended."""
    chance = random.Random(seed)
    ground = Ground(base / "embedded", chance, PICTURES)
    steps = [*WORKS, side_by_side, *([power_cut] if BINARY else []), *([on_ray] if POSSIBLE else [])]
    chance.shuffle(steps)
    outcomes = []
    for step in steps:
        if time.monotonic() > until:
            break
        if step is side_by_side:
            outcomes += side_by_side(ground)
        elif step is on_ray:
            outcomes += [f"on Ray, killed: {each}" for each in on_ray(base / "ray", chance, PICTURES)]
        elif step is power_cut:
            outcomes += [f"server killed: {each}" for each in power_cut(base / "served", chance, PICTURES)]
        else:
            ends = kill(ground, step, took)
            outcomes += [f"{step.__name__}: {end.partition(' after')[0]}" for end in ends]
    ground.assert_tidy()
    return outcomes


if __name__ == "__main__":
    sys.exit(bool(main()))
