"""Each command that writes is ended at random moments; nothing is lost, and the next run of it completes its work."""

import shutil
import signal
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

from pyarrow import parquet

from cbir.collection.interface import Engine
from tests.torture.ground import ENCODER, Ground, assert_same, stored
from tests.torture.process import ended, start

#: The collection that has both folders.
NAME = "pictures"
#: Mostly a power cut, sometimes somebody who is in a hurry.
SIGNALS = [signal.SIGKILL] * 4 + [signal.SIGTERM, signal.SIGINT]
#: How often a command is ended before it may complete its work.
MOST_ENDS = 3


@dataclass
class Work:
    """A command to be ended, and what to look at when it has completed its work.

    Attributes
    ----------
    arguments : list
        Of the command.
    done : callable
        Checks what it has made.
    again : callable
        Tells whether it has still to be run: what removes something, or makes something new, is done only once.
    """

    arguments: list[object]
    done: Callable[[], object]
    again: Callable[[], bool] = lambda: True


def first(ground: Ground) -> Work:
    """Fill a collection, its encoder being learned first."""
    if ground.embedded().exists(NAME):
        ground.run("remove", NAME, "--yes")
    return Work(["ingest", *ground.roots, "-c", NAME, "--encoder", ENCODER], lambda: _unbroken(ground))


def ingest(ground: Ground) -> Work:
    """Bring a collection up to date with folders that have changed."""
    ground.change()
    return Work(["ingest", *ground.roots, "-c", NAME, "--prune", "--force"], lambda: _unbroken(ground))


def retrain(ground: Ground) -> Work:
    """Learn the encoder again, and build a collection anew in the other's place."""
    ground.change()
    return Work(["ingest", *ground.roots, "-c", NAME, "--encoder", ENCODER, "--retrain"], lambda: _unbroken(ground))


def index(ground: Ground) -> Work:
    """Build the index, which small collections have only if asked."""
    ground.change()
    return Work(["ingest", *ground.roots, "-c", NAME, "--index", "--prune", "--force"], lambda: _unbroken(ground))


def snapshot(ground: Ground) -> Work:
    """Write a collection into a file."""
    file = ground.base / "snapshot.cbir.zip"

    def done() -> None:
        with zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None
        _remove(ground, "restored")
        ground.run("restore", file, "-c", "restored")
        assert_same(stored(ground.embedded(), "restored"), stored(ground.embedded(), NAME))

    return Work(["snapshot", NAME, "--save", file], done)


def restore(ground: Ground) -> Work:
    """Make a collection from a file."""
    file = ground.base / "to restore.cbir.zip"
    ground.run("snapshot", NAME, "--save", file)
    _remove(ground, "restored")
    engine = ground.embedded()
    return Work(
        ["restore", file, "-c", "restored"],
        lambda: assert_same(stored(engine, "restored"), stored(engine, NAME)),
        again=lambda: not engine.exists("restored"),
    )


def remove(ground: Ground) -> Work:
    """Remove a collection."""
    file, engine = ground.base / "to remove.cbir.zip", ground.embedded()
    if not engine.exists("restored"):
        ground.run("snapshot", NAME, "--save", file)
        ground.run("restore", file, "-c", "restored")
    return Work(["remove", "restored", "--yes"], lambda: None, again=lambda: engine.exists("restored"))


def move(ground: Ground) -> Work:
    """Tell a collection that one of its folders has moved."""
    old, new = ground.roots[1], ground.base / f"elsewhere {ground.chance.randrange(10**6)}" / ground.roots[1].name
    new.parent.mkdir()
    old.rename(new)
    ground.roots[1] = new

    def done() -> None:
        again = ground.run("ingest", *ground.roots, "-c", NAME, "--json")
        assert '"ingested": 0' in again, again
        _unbroken(ground)

    return Work(["move", old, new, "-c", NAME], done, again=lambda: _root(ground.embedded(), new.name) != str(new))


def evaluate(ground: Ground) -> Work:
    """Score a collection, and store the run."""

    def done() -> None:
        runs = sorted((ground.home / "runs").glob(f"{NAME}-*/*.npz"))
        assert runs
        for run in runs:
            ground.run("evaluate", "--from-run", run)

    return Work(["evaluate", "-c", NAME, "--queries", "10"], done)


def duplicates(ground: Ground) -> Work:
    """Find the same pictures, and draw them."""
    return Work(["duplicates", NAME, "--save", ground.base / "sheet.png"], lambda: None)


def embed(ground: Ground) -> Work:
    """Bring files with the features of all pictures up to date with folders that have changed."""
    features = ground.base / "features"
    ingest = ("ingest", *ground.roots, "-c", NAME, "--prune", "--force")
    arguments: list[object] = ["embed", *ground.roots, "-c", NAME, "--parquet", features]
    shutil.rmtree(features, ignore_errors=True)  # of an encoder that was learned again since
    ground.run(*ingest)
    ground.run(*arguments)
    ground.change()
    ground.run(*ingest)

    def done() -> None:
        written = [
            row["sha256"] for file in features.rglob("*.parquet") for row in parquet.read_table(file).to_pylist()
        ]
        assert sorted(written) == sorted(stored(ground.embedded(), NAME))
        assert (features / "_SUCCESS").exists()
        assert not list(features.rglob(".*"))

    return Work(arguments, done)


def prune(ground: Ground) -> Work:
    """Remove what nothing uses."""
    return Work(["prune", "--yes"], lambda: _unbroken(ground))


WORKS = (first, ingest, retrain, index, snapshot, restore, remove, move, evaluate, duplicates, embed, prune)


def kill(ground: Ground, make: Callable[[Ground], Work], took: dict[str, float], *, most: int = MOST_ENDS) -> list[str]:
    """End a command some times, and then let it complete its work.

    Parameters
    ----------
    ground : Ground
    make : callable
        One of `WORKS`.
    took : dict
        How many seconds each command takes; is kept up to date.
    most : int
        It is ended so many times at most.

    Returns
    -------
    list of str
        How it ended each time.
    """
    engine, name = ground.embedded(), make.__name__
    before = stored(engine, NAME) if engine.exists(NAME) else {}
    if not before and make is not first:
        ground.run("ingest", *ground.roots, "-c", NAME, "--encoder", ENCODER)
        before = stored(engine, NAME)
    work = make(ground)
    if make is first:
        before = {}
    arguments = [str(each) for each in work.arguments]
    outcomes = []
    for _ in range(ground.chance.randint(1, most)):
        if not work.again():
            break
        how = ground.chance.choice(SIGNALS)
        moment = ground.chance.uniform(0, 1.1 * took.get(name, 1.0))
        end = ended(start(arguments, ground.environment()), moment, how)
        end.assert_understood()
        assert end.code in (0, 1, 128 + how, -how), f"{how.name} makes it return {end.code}: {end.said}"
        outcomes.append("completed" if end.code == 0 else f"{how.name} after {end.seconds:.2f} s")
        if before:
            ground.assert_nothing_lost(before, engine, NAME)
            ground.run("info", "--json")
    if work.again():
        end = ended(start(arguments, ground.environment()))
        # Nothing to prune is no error, and neither is a removal that has nothing left to remove.
        assert end.code == 0, f"{arguments} returns {end.code}: {end.said}"
        took[name] = max(0.1, end.seconds)
    work.done()
    return outcomes


def _unbroken(ground: Ground) -> None:
    ground.assert_unbroken(ground.embedded(), NAME)


def _remove(ground: Ground, name: str) -> None:
    if ground.embedded().exists(name):
        ground.run("remove", name, "--yes")


def _root(engine: Engine, source: str) -> str:
    return engine.metadata(NAME).roots[source]
