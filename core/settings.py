"""Where things are kept and looked for: `CBIR_HOME`, `CBIR_DATA`, `QDRANT_URL`, and the platform's own folders."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cbir.core.disk import expanded, remedy
from cbir.core.errors import CbirError


@dataclass(frozen=True)
class Settings:
    """Folders of this user.

    Attributes
    ----------
    home : Path
        Collections, models and runs.
    cache : Path
        Downloaded datasets.
    data : tuple of Path
        Where datasets are looked for before that, in order.
    qdrant_url : str or None
        The server that holds the collections; None: they are embedded, in `home`.
    """

    home: Path
    cache: Path
    data: tuple[Path, ...] = ()
    qdrant_url: str | None = None

    @property
    def collections(self) -> Path:
        """Folder of embedded collections."""
        return self.home / "collections"

    @property
    def models(self) -> Path:
        """Folder of model bundles."""
        return self.home / "models"

    @property
    def locks(self) -> Path:
        """Folder where this machine's processes keep out of each other's way on a server."""
        return self.home / "locks"

    @property
    def runs(self) -> Path:
        """Folder of stored runs."""
        return self.home / "runs"


def read_settings(data_dir: str | Path | None = None, qdrant_url: str | None = None) -> Settings:
    """Read the environment.

    Parameters
    ----------
    data_dir : str or Path, optional
        Looked through before `CBIR_DATA`.
    qdrant_url : str, optional
        Instead of `QDRANT_URL`.

    Raises
    ------
    CbirError
        The home cannot be one, whatever is done there.
    """
    import platformdirs

    data = tuple(expanded(place) for place in (data_dir, os.environ.get("CBIR_DATA")) if place)
    given = os.environ.get("CBIR_HOME")
    home = _checked(given, platformdirs.user_data_path("cbir", appauthor=False))
    cache = platformdirs.user_cache_path("cbir", appauthor=False)
    return Settings(home, cache, data, qdrant_url or os.environ.get("QDRANT_URL") or None)


def _checked(given: str | None, usual: Path) -> Path:
    """Return the home; refuse what names no folder, and what cannot name one."""
    home = expanded(given).absolute() if given else usual
    if given and given.startswith("~") and not os.path.isabs(os.path.expanduser(given)):  # noqa: PTH111, PTH117
        raise CbirError(f"CBIR_HOME is {given}, and there is no user {given[1:].partition(os.sep)[0]}; name a folder")
    try:
        is_folder = stat.S_ISDIR(home.stat().st_mode)
    except FileNotFoundError:
        return home  # made when something is to be kept there
    except OSError as error:
        raise CbirError(
            f"cannot use {home}: {error.strerror or error}; {remedy(error)}name another place with CBIR_HOME"
        ) from error
    if not is_folder:
        raise CbirError(f"cannot use {home}: it is not a folder; name another place with CBIR_HOME")
    return home
