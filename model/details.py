"""What a picture's file says about it besides its pixels: size, format, when, where and with what it was taken."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Details:
    """What is known of a picture.

    Attributes
    ----------
    width, height : int
        In pixels, as a viewer shows it: upright, whole.
    format : str
        A name of `cbir.model.formats.FORMATS`.
    taken_at : str or None
        RFC 3339: what the camera's clock showed, written as if in UTC.
    camera, lens : str or None
        The model, as the camera names it.
    gps : dict or None
        `lon` and `lat`, in degrees.
    warning : str or None
        What was odd about the file although it could be read.
    """

    width: int
    height: int
    format: str
    taken_at: str | None = None
    camera: str | None = None
    lens: str | None = None
    gps: dict[str, float] | None = field(default=None)
    warning: str | None = None

    def payload(self) -> dict[str, Any]:
        """Return what is known, as fields of a point's payload."""
        return {name: value for name, value in vars(self).items() if value is not None}
