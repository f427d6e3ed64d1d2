"""Write a source's features and payloads into Parquet files, for other tools to store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.core.disk import disk_errors, expanded, require_folder_of
from cbir.core.errors import CbirError
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from cbir.ingest.embed import Written
    from cbir.model.bundle import Bundle


@dataclass(frozen=True)
class Embedded:
    """Features in files.

    Attributes
    ----------
    collection : str
        Whose encoder made them.
    model : Bundle
        That encoder.
    folder : Path
        Of the files.
    written : Written
        What became of the pictures.
    """

    collection: str
    model: Bundle
    folder: Path
    written: Written

    @property
    def lines(self) -> Path | None:
        """The file with a line for each picture that was skipped, is a copy, or had a warning, if there is any."""
        from cbir.ingest.embed import FILE

        return self.folder / FILE if self.written.has_lines else None

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(each.stat().st_size for each in self.folder.rglob("*") if each.is_file())


def embed(
    source: str | Path | Sequence[str | Path],
    folder: str | Path,
    *,
    collection: str | None = None,
    limit: int | None = None,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
) -> Embedded:
    """Write the points that an ingest of a source would store into Parquet files (see docs/spark.md).

    What an earlier run wrote into the folder, and is unchanged, stays: a run that was interrupted is continued so.

    Parameters
    ----------
    source : str, Path, or sequence of them
        As of `cbir.ingest`; what was chosen of a folder at its ingest counts.
    folder : str or Path
        A new one, or that of an earlier run.
    collection : str, optional
        Whose encoder is used; by default the only one, else the one ingested last.
    limit : int, optional
        Write at most this many images.
    qdrant_url : str, optional
        The collection is on this Qdrant server; by default `QDRANT_URL`, else it is embedded.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`; also `CBIR_DATA`.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).

    Returns
    -------
    Embedded

    Raises
    ------
    CbirError
        The folder holds anything else, such as features of another encoder; no such collection, or nothing of the
        source can be read.
    """
    from cbir.ingest.chosen import Chosen
    from cbir.ingest.embed import embed as written
    from cbir.ingest.feature_folder import feature_folder
    from cbir.ingest.sources.arguments import open_sources
    from cbir.ingest.sources.source import limited
    from cbir.ingest.target import find_target
    from cbir.model.bundles import bundle_of

    place = expanded(folder).absolute()
    require_folder_of(place)
    settings = read_settings(data_dir, qdrant_url)
    named = [str(source)] if isinstance(source, (str, Path)) else [str(each) for each in source]
    with closing(home.open_engine(settings)) as engine, disk_errors(place):
        name = home.collection_or_default(engine, collection)
        metadata = engine.metadata(name)
        if metadata.smooth:
            raise CbirError(
                f"collection '{name}' has --smooth {metadata.smooth}: its features are averaged with others that it "
                "holds, so that none can be made without storing it"
            )
        bundle = bundle_of(settings.models, name, metadata.model, metadata.fingerprint)
        with feature_folder(place, name, bundle.fingerprint):
            chosen = Chosen(engine, {})
            with chosen.telling():
                opened = open_sources(
                    named, settings.data, settings.cache, choice=chosen.by_path(name), progress=progress
                )
            opened = limited(chosen.corrected(opened, name), limit)
            target = find_target(engine, name, opened, retrain=False, add_source=collection is not None, smooth=None)
            done = written(target.source, bundle, place, metadata, progress)
    return Embedded(name, bundle, place, done)
