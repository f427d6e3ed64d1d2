"""How a picture becomes an encoder's input, as data that travels with the encoder.

In: a Pillow image of any size and mode. Out: uint8 pixels of one fixed shape,
and from these the values that the encoder's graph takes. All of it is part of
the encoder's fingerprint and stands in model.json, so a query is always treated
as the database was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from PIL import Image

from cbir.core.stored import a_list, a_number, a_whole_number
from cbir.model.border import ground
from cbir.model.errors import ModelError
from cbir.model.margins import trimmed
from cbir.model.modes import in_mode

RESAMPLING = {each.name.lower(): each for each in Image.Resampling}
#: What a field may be; the first is the default, which `describe` leaves out of a layout and of values.
CHOICES = {
    "fit": ("contain", "squash", "crop"),
    "resample": tuple(RESAMPLING),
    "pad": ("border median",),
    "layout": ("NHWC", "NCHW"),
    "values": ("unit", "bytes"),
}

#: Of an input, in pixels: a file from elsewhere does not decide how much memory is taken.
MAX_SIDE = 4096
#: For `crop`, the picture is enlarged and its middle cut out, as others do it, up to as many times the input's pixels;
#: beyond that, only the middle is made, which is the same but for the rounding of coordinates.
_LARGEST = 64
#: A picture as many times an input's size gives what the whole gives: resampling from there on looks at all pixels.
_ENOUGH = 3
#: No less for any input, so that nearly all ask for the same, and what one sees of a picture is what all others see.
#: A quarter of a photograph of 12 megapixels has more.
_LEAST_ENOUGH = 720


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes encoder input.

    It is converted to grey or RGB (transparency laid over white) and brought to
    size: `contain` scales it to fit and pads the rest, `squash` ignores its aspect
    ratio, `crop` covers the size and cuts off what is too much on either side.

    Parameters
    ----------
    height, width : int
        Encoder input size in pixels.
    channels : int
        1 (grey) or 3 (RGB).
    fit : str
        `contain`, `squash` or `crop`.
    resample : str
        One of Pillow's filters, in lower case: `bicubic`, `bilinear`, `lanczos`, ...
    pad : str
        `border median`: the median colour of the picture's own border, which continues its background.
    mean, deviation : tuple of float, or None
        A value a channel: what is subtracted from values in [0, 1], and what they are then divided by.
    layout : str
        The axes of the graph's input: `NHWC` or `NCHW`.
    shortest : int or None
        For `crop`: what the shorter side is brought to before the middle is cut out, exactly as torchvision, Hugging
        Face and FastEmbed do it. None: the picture covers the input, no more.
    values : str
        What the graph takes: `unit`, float32 made from values in [0, 1], or `bytes`, the uint8 pixels as they are.
    trim : bool
        Take uniform margins off first: a border, a letterbox, what a screenshot shows around a picture.

    Raises
    ------
    ModelError
        An unknown value.
    """

    height: int
    width: int
    channels: int
    fit: str = "contain"
    resample: str = "bicubic"
    pad: str = "border median"
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    layout: str = "NHWC"
    values: str = "unit"
    shortest: int | None = None
    trim: bool = False

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ModelError(f"{name} is {value!r}, and this cbir knows only {', '.join(known)}: upgrade cbir")
        if not isinstance(self.trim, bool):
            raise ModelError(f"trim is {self.trim!r}, and this cbir knows only true and false: upgrade cbir")
        if self.channels not in (1, 3) or not all(1 <= side <= MAX_SIDE for side in (self.height, self.width)):
            raise ModelError(f"no encoder takes pictures of shape {self.shape}; sides are 1 to {MAX_SIDE} pixels")
        for name, values in (("mean", self.mean), ("deviation", self.deviation)):
            if values is not None and (len(values) != self.channels or not np.isfinite(values).all()):
                raise ModelError(f"{name} must be a number for each of {self.channels} channels, not {values}")
        if self.deviation is not None and min(self.deviation) <= 0:
            raise ModelError(f"deviation must be above 0, not {self.deviation}")
        least = max(self.height, self.width)
        if self.shortest is not None and (self.fit != "crop" or not least <= self.shortest <= MAX_SIDE):
            raise ModelError(
                f"shortest is {self.shortest}: it belongs to fit 'crop', and is {least} to {MAX_SIDE} for {self.shape}"
            )
        if self.values == "bytes" and (self.mean is not None or self.deviation is not None):
            raise ModelError("a graph that takes bytes normalises them itself: no mean or deviation belongs to it")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image's pixels, (height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def enough(self) -> int:
        """Pixels of a picture's shorter side that suffice for this input: decoded larger, it gives about the same."""
        return max(_LEAST_ENOUGH, _ENOUGH * max(self.height, self.width, self.shortest or 0))

    def describe(self) -> dict[str, Any]:
        """Return what the fingerprint covers and `from_json` reads, as JSON values."""
        described: dict[str, Any] = {
            "shape": list(self.shape),
            "fit": self.fit,
            "resample": self.resample,
            "pad": self.pad,
        }
        # Left out where nothing is done, so that older encoders keep their fingerprints.
        if self.mean is not None:
            described["mean"] = list(self.mean)
        if self.deviation is not None:
            described["deviation"] = list(self.deviation)
        if self.layout != "NHWC":
            described["layout"] = self.layout
        if self.values != "unit":
            described["values"] = self.values
        if self.shortest is not None:
            described["shortest"] = self.shortest
        if self.trim:
            described["trim"] = True
        return described

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Self:
        """Read what `describe` wrote.

        Raises
        ------
        ModelError
            A key or a value that this version does not know.
        KeyError, TypeError, ValueError
            Not what any version wrote.
        """
        fields = dict(described)
        height, width, channels = (a_whole_number(size, "shape", 1) for size in a_list(fields.pop("shape"), "shape", 3))
        unknown = fields.keys() - {
            "fit",
            "resample",
            "pad",
            "mean",
            "deviation",
            "layout",
            "values",
            "shortest",
            "trim",
        }
        if unknown:
            raise ModelError(f"this cbir does not know {', '.join(sorted(unknown))}: upgrade cbir")
        for name in ("mean", "deviation"):
            if fields.get(name) is not None:
                fields[name] = tuple(float(a_number(value, name)) for value in a_list(fields[name], name))
        if fields.get("shortest") is not None:
            a_whole_number(fields["shortest"], "shortest", 1)
        return cls(height, width, channels, **fields)

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Convert one picture.

        Parameters
        ----------
        image : PIL.Image.Image

        Returns
        -------
        ndarray of uint8, shape (height, width, channels)

        Raises
        ------
        ImageError
            If the picture holds NaN or infinite values (possible in float TIFFs).
        """
        image = in_mode(image, "L" if self.channels == 1 else "RGB")
        if self.trim:
            image = trimmed(image)
        if image.size != (self.width, self.height) or self.shortest is not None:
            image = {"contain": self._contain, "squash": self._squash, "crop": self._crop}[self.fit](image)
        return np.asarray(image).reshape(self.shape)

    def inputs(self, pixels: np.ndarray) -> np.ndarray:
        """Turn pixels into what the encoder's graph takes.

        Parameters
        ----------
        pixels : ndarray, shape (n, height, width, channels)
            uint8, or float32 in [0, 1].

        Returns
        -------
        ndarray
            (n, height, width, channels) or (n, channels, height, width): float32, normalised, or uint8 where the
            graph takes bytes.
        """
        if self.values == "bytes":
            return self._laid_out(pixels if pixels.dtype == np.uint8 else to_bytes(pixels))
        values = to_unit(pixels) if pixels.dtype == np.uint8 else pixels.astype(np.float32, copy=False)
        if self.mean is not None:
            values = values - np.array(self.mean, np.float32)
        if self.deviation is not None:
            values = values / np.array(self.deviation, np.float32)
        return self._laid_out(values)

    def _laid_out(self, values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2)) if self.layout == "NCHW" else values

    def _contain(self, image: Image.Image) -> Image.Image:
        small = self._scaled(image, min(self.width / image.width, self.height / image.height))
        if small.size == (self.width, self.height):
            return small
        canvas = Image.new(small.mode, (self.width, self.height), ground(small))
        canvas.paste(small, ((self.width - small.width) // 2, (self.height - small.height) // 2))
        return canvas

    def _squash(self, image: Image.Image) -> Image.Image:
        return self._resized(image, (self.width, self.height))

    def _crop(self, image: Image.Image) -> Image.Image:
        if self.shortest is None:
            scale = max(self.width / image.width, self.height / image.height)
            width, height = _scaled_size(image, scale)
        else:
            width, height = (int(self.shortest * side / min(image.size)) for side in image.size)
        left, top = (width - self.width) // 2, (height - self.height) // 2
        right, bottom = left + self.width, top + self.height
        if width * height > _LARGEST * self.width * self.height:  # of a line of 60000x2, gigabytes
            across, down = image.width / width, image.height / height
            box = (left * across, top * down, right * across, bottom * down)
            return image.resize((self.width, self.height), RESAMPLING[self.resample], box=box)
        gap = 3.0 if self.shortest is None else None
        small = image.resize((width, height), RESAMPLING[self.resample], reducing_gap=gap)
        return small.crop((left, top, right, bottom))

    def _scaled(self, image: Image.Image, scale: float) -> Image.Image:
        return self._resized(image, _scaled_size(image, scale))

    def _resized(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        return image.resize(size, RESAMPLING[self.resample], reducing_gap=3.0)


def _scaled_size(image: Image.Image, scale: float) -> tuple[int, int]:
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def to_unit(pixels: np.ndarray) -> np.ndarray:
    """Turn uint8 pixels of any shape into float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255)


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Turn floats of any shape into the nearest uint8; what is outside of [0, 1] is clipped."""
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
