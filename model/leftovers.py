"""Models that nothing uses, trainings that were given up, and what was left half written beside them.

In: the folder of models, and the names that are in use. Out: what can be removed. What cannot be read (damaged, or a
newer cbir's) is never offered.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from cbir.core.disk import size_on_disk
from cbir.core.leftover import Leftover, partials
from cbir.core.names import folded
from cbir.core.partial import abandoned
from cbir.model.bundle import Bundle
from cbir.model.bundles import bundles

_CHECKPOINT = re.compile(r"\.(.+)\.training.*\.npz")
_ASIDE = ".unused"


def leftovers(models: Path, used: Collection[str]) -> Iterator[Leftover]:
    """Yield what nothing uses in a folder of models.

    Parameters
    ----------
    models : Path
    used : collection of str
        Names of the bundles that collections need.
    """
    if not models.is_dir():
        return
    needed = set(map(folded, used))
    for bundle in bundles(models):
        if folded(bundle.name) not in needed and not bundle.path.is_symlink():
            yield Leftover("model", bundle.path, size_on_disk(bundle.path), f"no collection uses it{_cost(bundle)}")
    yield from partials(models)
    for path in sorted(models.iterdir()):
        if (checkpoint := _CHECKPOINT.fullmatch(path.name)) and abandoned(path):
            reason = f"a training of '{checkpoint[1]}' that was stopped more than a day ago"
            yield Leftover("checkpoint", path, size_on_disk(path), reason)
        elif _is_aside(path):
            yield Leftover("partial", path, size_on_disk(path), "left by a process that was stopped")


def young_checkpoints(models: Path) -> list[Path]:
    """Return the states of trainings that were stopped so lately that somebody may want to continue them."""
    paths = sorted(models.glob(".*.npz")) if models.is_dir() else []
    return [path for path in paths if _CHECKPOINT.fullmatch(path.name) and not abandoned(path)]


def set_aside(bundle: Path) -> Path:
    """Rename a bundle so that nobody finds it any more; return its new path. `put_back` undoes it."""
    return bundle.rename(bundle.with_name(f".{bundle.name}{_ASIDE}"))


def put_back(aside: Path) -> None:
    """Give a bundle that was set aside its name again, unless there is another of that name."""
    bundle = _bundle_of(aside)
    if not bundle.exists():
        aside.rename(bundle)


def put_back_used(models: Path, used: Collection[str]) -> None:
    """Put back what was set aside, by a process that was killed, and is in use nevertheless."""
    needed = set(map(folded, used))
    for aside in models.glob(f".*{_ASIDE}"):
        if _is_aside(aside) and folded(_bundle_of(aside).name) in needed:
            put_back(aside)


def _bundle_of(aside: Path) -> Path:
    return aside.with_name(aside.name.removeprefix(".").removesuffix(_ASIDE))


def _is_aside(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(_ASIDE) and path.is_dir()


def _cost(bundle: Bundle) -> str:
    """Say what making a bundle again would take, where that is known."""
    seconds, images = bundle.metadata.get("seconds"), bundle.metadata.get("images")
    return f"; learned from {images:,} pictures in {seconds:,.0f} s" if images and seconds and seconds >= 1 else ""
