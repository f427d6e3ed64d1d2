"""Files of the Hugging Face hub, each pinned by revision and SHA-256.

In: which files. Out: where they are on this machine: in cbir's own cache, in
Hugging Face's, or downloaded to the former just now. `HF_ENDPOINT` names a
mirror, `HF_HUB_OFFLINE=1` forbids downloads.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cbir.core.digest import has_sha256
from cbir.core.disk import expanded
from cbir.core.download import ChecksumError, DownloadError, download
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings
from cbir.model.errors import ModelError

_HUB = "https://huggingface.co"


@dataclass(frozen=True)
class HubFile:
    """One file of a repository of the hub.

    Attributes
    ----------
    repository : str
        `owner/name`.
    revision : str
        The commit, 40 hexadecimal digits.
    path : str
        Inside of the repository.
    sha256 : str
        64 hexadecimal digits.
    size : int
        In bytes; for messages.

    Raises
    ------
    ModelError
        Not such a file: what stands in a bundle may have been changed.
    """

    repository: str
    revision: str
    path: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        sound = (
            re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", self.repository, re.ASCII),
            re.fullmatch(r"[0-9a-f]{40}", self.revision),
            re.fullmatch(r"[0-9a-f]{64}", self.sha256),
            re.fullmatch(r"[\w./-]+", self.path, re.ASCII) and parts and parts[0] != "/" and ".." not in parts,
        )
        if not all(sound) or type(self.size) is not int:
            raise ModelError(f"'{self.path}' of '{self.repository}' at '{self.revision}' is no file of the hub")

    @property
    def url(self) -> str:
        """Where it is fetched from."""
        endpoint = os.environ.get("HF_ENDPOINT") or _HUB
        return f"{endpoint.rstrip('/')}/{self.repository}/resolve/{self.revision}/{self.path}"

    @property
    def place(self) -> Path:
        """Where it is in cbir's own cache."""
        return networks_cache() / self.repository.replace("/", "--") / self.revision[:8] / self.path


def fetch(files: Sequence[HubFile], owner: str, *, progress: Progress = silent) -> list[Path]:
    """Find files, or download them.

    Parameters
    ----------
    files : sequence of HubFile
    owner : str
        What needs them, for messages: `encoder 'clip'`.
    progress : Progress
        Stage `download`, in bytes.

    Returns
    -------
    list of Path
        In the order of `files`.

    Raises
    ------
    ModelError
        Some are not on this machine and cannot be downloaded; the message names each, and where to put it.
    """
    found = {file: _on_this_machine(file) for file in files}
    missing = [file for file, path in found.items() if path is None]
    if missing and _offline():
        raise _missing(missing, owner, "HF_HUB_OFFLINE forbids to download")
    for number, file in enumerate(missing):
        try:
            download(file.url, file.place, file.sha256, progress=progress)
        except ChecksumError as error:
            if error.size != file.size:
                why = f"{file.url} gave {error.size:,} bytes of something else, perhaps a page that asks for a login"
                raise _missing(missing[number:], owner, f"downloading failed: {why}") from None
            raise ModelError(f"{owner} cannot be used: the hub has another file than was pinned. {error}") from None
        except DownloadError as error:
            raise _missing(missing[number:], owner, f"downloading failed: {error}") from None
        found[file] = file.place
    return [path for file in files if (path := found[file])]


def networks_cache() -> Path:
    """Return the folder of downloaded networks."""
    return read_settings().cache / "networks"


def notes() -> Path:
    """Return the folder where it is noted which files of the cache have been hashed."""
    return networks_cache() / "hashed"


def _on_this_machine(file: HubFile) -> Path | None:
    places = (file.place, *_of_hugging_face(file))
    return next((path for path in places if has_sha256(path, file.sha256, notes())), None)


def _of_hugging_face(file: HubFile) -> Iterator[Path]:
    """Yield where Hugging Face's own library may have put a file: at this revision, or the same file at another."""
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    hub = expanded(cache or Path(home) / "hub")
    snapshots = hub / f"models--{file.repository.replace('/', '--')}" / "snapshots"
    yield snapshots / file.revision / file.path
    if snapshots.is_dir():
        yield from (folder / file.path for folder in sorted(snapshots.iterdir()) if folder.name != file.revision)


def _offline() -> bool:
    return any(
        os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def _missing(files: Sequence[HubFile], owner: str, why: str) -> ModelError:
    listed = "; ".join(
        f"{file.url} ({file.size / 1e6:.1f} MB, SHA-256 {file.sha256}) to {file.place}" for file in files
    )
    count = "a file that is" if len(files) == 1 else f"{len(files)} files that are"
    return ModelError(
        f"{owner} needs {count} not on this machine, and {why}. "
        f"To use it without a network, download this elsewhere and copy it: {listed}"
    )
