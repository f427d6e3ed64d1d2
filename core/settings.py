"""Where things are kept and looked for: `CBIR_HOME`, `CBIR_DATA`, `QDRANT_URL`, and the platform's own folders."""

import os
from dataclasses import dataclass
from pathlib import Path


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
    """
    import platformdirs

    data = tuple(Path(place).expanduser() for place in (data_dir, os.environ.get("CBIR_DATA")) if place)
    given = os.environ.get("CBIR_HOME")
    home = Path(given).expanduser().absolute() if given else platformdirs.user_data_path("cbir", appauthor=False)
    cache = platformdirs.user_cache_path("cbir", appauthor=False)
    return Settings(home, cache, data, qdrant_url or os.environ.get("QDRANT_URL") or None)
