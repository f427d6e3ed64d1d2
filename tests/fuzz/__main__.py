"""`make fuzz`: damage picture files for some minutes, and see that each is read or refused by its name, in silence.

What goes wrong is printed with its seed: `python -m tests.fuzz --seed 123` does the same again. The files are decoded
in a process of their own: where a decoder hangs for half a minute or crashes, its seed is printed too.
"""

import argparse
import faulthandler
import mmap
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable

import numpy as np

from cbir.model.errors import ImageError
from cbir.model.picture import decoded, details_of
from tests.fuzz.damage import damaged
from tests.model.made import every_kind

#: Seconds that one small file may take; what the process returns if one takes longer; and if any went wrong.
PATIENCE, HUNG, WRONG = 30, 1, 2


def main() -> int:
    """Run until the time is over; return 0 if nothing went wrong."""
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=240)
    arguments.add_argument("--seed", type=int, help="one seed, once")
    given = arguments.parse_args()
    seeds = [given.seed] if given.seed is not None else iter(lambda: random.randrange(2**48), None)
    latest = mmap.mmap(-1, 8)  # shared with the process that may crash
    child = os.fork()
    if not child:
        os._exit(WRONG if _run(seeds, given.seconds, latest) else 0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0 or code == HUNG:
        print(f"seed {int.from_bytes(latest[:], 'big')}: the decoder {'hung' if code == HUNG else 'crashed'}")
    return code


def _run(seeds: Iterable[int], seconds: float, latest: mmap.mmap) -> int:
    """Try seeds until the time is over; return how many went wrong."""
    files = {**every_kind(), **{f"larger {name}": content for name, content in every_kind((150, 90)).items()}}
    begun, wrong, outcomes = time.monotonic(), 0, Counter[str]()
    with tempfile.TemporaryFile() as heard:
        shown = os.dup(2)
        for seed in seeds:
            if time.monotonic() - begun > seconds:
                break
            latest[:] = seed.to_bytes(8, "big")
            faulthandler.dump_traceback_later(PATIENCE, exit=True)  # works in the midst of C code too; returns 1
            os.dup2(heard.fileno(), 2)
            problem = ""
            try:
                outcomes[_tried(seed, files)] += 1
            # Whatever it is, it is what is looked for.
            except BaseException:  # noqa: BLE001
                problem = traceback.format_exc()
            os.dup2(shown, 2)
            heard.seek(0)
            if said := heard.read():
                problem += f"printed {said[:300]!r}"
            if problem:
                wrong += 1
                print(f"seed {seed}: {problem}", flush=True)
            heard.seek(0)
            heard.truncate()
    print(f"{sum(outcomes.values()):,} damaged files: {dict(outcomes)}; {wrong} went wrong", flush=True)
    return wrong


def _tried(seed: int, files: dict[str, bytes]) -> str:
    """Decode one damaged file; return what became of it."""
    name, content = damaged(seed, files)
    try:
        found = decoded(content, name, enough=(None, 8)[seed % 2])
    except ImageError as error:
        if not str(error).startswith(name) or "\n" in str(error):
            raise
        return "refused"
    if found.picture.mode not in ("L", "RGB") or not np.asarray(found.picture).size:
        raise AssertionError(f"{name} became a picture of mode {found.picture.mode}")
    details = details_of(content, name)
    if (details.width, details.height) != (found.details.width, found.details.height):
        raise AssertionError(f"{name} is said to have {details}, and has {found.details}")
    return "read, with a warning" if found.details.warning else "read"


if __name__ == "__main__":
    sys.exit(bool(main()))
