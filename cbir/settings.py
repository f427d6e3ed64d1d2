"""Where things are kept and looked for: `CBIR_HOME`, `CBIR_DATA`, and the platform's own folders."""

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
    """

    home: Path
    cache: Path
    data: tuple[Path, ...] = ()

    @property
    def collections(self) -> Path:
        """Folder of embedded collections."""
        return self.home / "collections"

    @property
    def models(self) -> Path:
        """Folder of model bundles."""
        return self.home / "models"

    @property
    def runs(self) -> Path:
        """Folder of stored runs."""
        return self.home / "runs"


def settings(data_dir: str | Path | None = None) -> Settings:
    """Read the environment.

    Parameters
    ----------
    data_dir : str or Path, optional
        Looked through before `CBIR_DATA`.
    """
    data = [Path(place).expanduser() for place in (data_dir, os.environ.get("CBIR_DATA")) if place]
    home = os.environ.get("CBIR_HOME")
    if home:
        return Settings(Path(home).expanduser().absolute(), _cache(), tuple(data))
    import platformdirs

    return Settings(platformdirs.user_data_path("cbir", appauthor=False), _cache(), tuple(data))


def _cache() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("cbir", appauthor=False)
