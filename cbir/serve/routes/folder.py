"""`POST /api/collections/{name}/points/{id}/folder`: the folder of a stored picture, in the desktop's file manager."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from cbir.core.objects import is_object
from cbir.serve import desktop
from cbir.serve.problems import NotFoundError
from cbir.serve.state import Served
from cbir.serve.stored import DatasetPicture

if TYPE_CHECKING:
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}/points", tags=["points"])


@router.post("/{id}/folder", summary="Open a stored picture's folder", status_code=204)
async def open_folder(name: str, id: UUID, served: Served) -> None:  # noqa: A002 - as the path has it
    """Open the folder of a picture in the file manager of the machine that serves, which must be a desktop.

    Only where the server listens on loopback, and without `--allow-host`: who asks sits at that machine. An archive's
    folder is that of its file.
    """
    if not desktop.can_show(served.config):
        raise HTTPException(
            HTTPStatus.FORBIDDEN,
            "this server opens no folders: it is no desktop, or can be reached from other machines; copy the path",
        )
    await served.looking.run(_open, served, name, str(id))


def _open(served: State, name: str, point: str) -> None:
    _, found = served.pictures.find(served.library.searcher(name), point)
    if isinstance(found, DatasetPicture):
        raise NotFoundError(f"{found.uri} is a dataset's picture; it has no folder of its own")
    if is_object(found.file):
        raise NotFoundError(f"{found.file} is in object storage; it has no folder on this machine")
    desktop.show(found.file)
