"""What stands beside an ONNX file: how pictures become its input, and which of its outputs is the feature.

In: `net.json` beside `net.onnx` (cbir's own, see `KEYS`), and the
`preprocessor_config.json` that Hugging Face's exports come with. Out: values by
key, checked; where both say something, cbir's own counts.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cbir.core.errors import first_line
from cbir.model.errors import ModelError
from cbir.model.preprocessing import CHOICES
from cbir.model.pretrained.tower import TOKENS

_HUGGING_FACE = "preprocessor_config.json"
#: Pillow's filters by the numbers that Hugging Face writes.
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
#: Classifiers of this size and above take the whole picture (ConvNeXt's rule for `crop_pct`).
_WHOLE_FROM = 384


def options_beside(path: Path) -> dict[str, Any]:
    """Return what is said about an ONNX file, by the keys of `KEYS`; what is not said is left out.

    Raises
    ------
    ModelError
        A file that is not JSON, an unknown key, or a value that the key does not take.
    """
    said: dict[str, Any] = {}
    for file in files_beside(path):
        read = _object(file)
        said |= _of_hugging_face(file, read) if file.name == _HUGGING_FACE else _checked(file, read)
    return said


def files_beside(path: Path) -> list[Path]:
    """Return the files that say something about an ONNX file; the later counts more."""
    folders = [path.parent, *([path.parent.parent] if path.parent.name == "onnx" else [])]
    config = next((folder / _HUGGING_FACE for folder in folders if (folder / _HUGGING_FACE).is_file()), None)
    own = path.with_suffix(".json")
    return [file for file in (config, own) if file is not None and file.is_file()]


def _object(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {first_line(error)}") from None
    if not isinstance(read, dict):
        raise ModelError(f"{file} does not hold a JSON object")
    return read


def _checked(file: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    said = {}
    for key, value in given.items():
        if key not in KEYS:
            raise ModelError(f"{file} has the unknown key '{key}' (known are {', '.join(KEYS)})")
        wording, read = KEYS[key]
        try:
            said[key] = read(value)
        except (TypeError, ValueError):
            raise ModelError(f"{file}: {key} must be {wording}, not {json.dumps(value)}") from None
    return said


def _size(value: Any) -> tuple[int, int]:
    height, width = value if isinstance(value, list) else (value, value)
    return _pixels(height), _pixels(width)


def _pixels(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError
    return value


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(number) for number in (value if isinstance(value, list) else [value]))


def _one_of(*choices: Any) -> tuple[str, Callable[[Any], Any]]:
    def read(value: Any) -> Any:
        if value not in choices or isinstance(value, bool):
            raise ValueError
        return value

    return " or ".join(map(json.dumps, choices)), read


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


#: What each key of `net.json` takes, in words and as a function that reads it.
KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "size": ("the input's side in pixels, or [height, width]", _size),
    "shortest": ("what the shorter side is brought to before the middle is cut out, in pixels", _pixels),
    "fit": _one_of(*CHOICES["fit"]),
    "resample": _one_of(*CHOICES["resample"]),
    "mean": ("a number, or a list of one for each channel", _numbers),
    "deviation": ("a number, or a list of one for each channel", _numbers),
    "layout": _one_of(*CHOICES["layout"]),
    "channels": _one_of(1, 3),
    "input": ("the name of the input that takes pictures", _text),
    "output": ("the name of the output that becomes the feature", _text),
    "token": _one_of(*TOKENS),
    "normalise": ("true or false", _truth),
    "licence": ('a name, such as "MIT"', _text),
}


#: Keys of Hugging Face's that change pixels in a way that is not done here, where they are not false.
_NOT_DONE = {
    "do_flip_channel_order": "swaps red and blue",
    "offset": "shifts values in a way of its own",
    "do_pad": "pads pictures",
    "do_align_long_axis": "turns pictures",
    "do_thumbnail": "makes thumbnails of pictures",
    "do_crop_margin": "crops margins",
    "do_color_quantize": "reduces colours",
    "do_image_splitting": "splits pictures into tiles",
    "do_convert_grayscale": "makes pictures grey",
    "do_grayscale": "makes pictures grey",
    "keep_aspect_ratio": "keeps the aspect ratio in a way of its own",
    "ensure_multiple_of": "rounds sizes in a way of its own",
    "size_divisor": "rounds sizes in a way of its own",
}


def _of_hugging_face(file: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a `preprocessor_config.json` says."""
    for key, what in _NOT_DONE.items():
        value = config.get(key)
        if value is True or value not in (None, 0, 1):  # a multiple of 1 is any number
            raise ModelError(
                f"{file} {what} ({key}), which cbir does not do; if the network needs none of it, remove that key"
            )
    try:
        said = _geometry(file, config)
        if config.get("do_resize", True) and (number := config.get("resample")) is not None:
            said["resample"] = number.lower() if isinstance(number, str) else _FILTERS[number]
        # Written for values from 0 to 255, each times the factor; here they are in [0, 1].
        rescaled = config.get("do_rescale", True)
        factor = 255 * float(config.get("rescale_factor", 1 / 255)) if rescaled else 255.0
        if not factor > 0:
            raise ValueError(f"rescale_factor {config['rescale_factor']}")
        offset = 1.0 if rescaled and config.get("rescale_offset") else 0.0
        normalised = config.get("do_normalize", "image_mean" in config)
        mean = _numbers(config["image_mean"]) if normalised else (0.0,)
        deviation = _numbers(config["image_std"]) if normalised else (1.0,)
        if config.get("include_top"):  # EfficientNet's, with its classifier, are divided once more
            again = _numbers(config["image_std"])
            deviation = tuple(value * value for value in again) if normalised else again
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{file} is not as Hugging Face writes it: {type(error).__name__} {error}") from None
    said["mean"] = tuple((value + offset) / factor for value in mean)
    said["deviation"] = tuple(value / factor for value in deviation)
    return said


def _geometry(file: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the size, and whether pictures are squashed or their middle is cut out."""
    size, crop = config.get("size"), config.get("crop_size") if config.get("do_center_crop") else None
    if isinstance(crop, dict):
        crop = [crop["height"], crop["width"]]
    if not config.get("do_resize", True) or size is None:
        return {"size": _size(crop), "fit": "crop"} if crop else {}
    if isinstance(size, int):
        size = {"shortest_edge": size} if crop else {"height": size, "width": size}
    if isinstance(size, list):
        size = dict(zip(("height", "width"), _size(size), strict=True))
    if {"height", "width"} <= size.keys():
        whole = _size([size["height"], size["width"]])
        if crop and _size(crop) != whole:
            raise ModelError(f"{file} squashes pictures and then cuts out their middle, which cbir does not do")
        return {"size": whole, "fit": "squash"}
    if "shortest_edge" not in size:
        raise ModelError(
            f"{file} resizes to {json.dumps(size)}, which cbir does not do; say size and fit in a JSON file of the "
            "network's own name (docs/networks.md)"
        )
    shortest = _pixels(size["shortest_edge"])
    if crop is None and (share := config.get("crop_pct")):
        if shortest >= _WHOLE_FROM:
            return {"size": (shortest, shortest), "fit": "squash"}
        return {"size": (shortest, shortest), "fit": "crop", "shortest": int(shortest / share)}
    return {"fit": "crop", "shortest": shortest, "size": _size(crop) if crop else (shortest, shortest)}
