"""What happens to a picture on its way to a query: turned, cut, blurred, brightened, photographed from a screen.

In: a picture in 8-bit grey or RGB, a strength, a random generator. Out: such a
picture of the same content. The draw (which way to turn, where to cut, which
noise) is the generator's alone, and the same at every strength. What each
strength means stands in `cbir.model.distortion`.
"""

import io
import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from cbir.model.border import ground

#: Smaller pictures are enlarged before they are moved about: 8x8 pixels lose by turning what no encoder can mend.
_SHORTEST = 28
_RIM = 2
_CAPTION = "A day to remember"
#: A screen's height divided by its width.
_PHONE = 19.5 / 9


def rotate(picture: Image.Image, degrees: float, generator: np.random.Generator) -> Image.Image:
    """Turn about the centre, left or right, over the picture's own ground.

    The frame stays: growing it would shrink the object as well. At 45 degrees
    MNIST's digits lose 0.02% of their ink to the corners, the 8x8 ones 1.4%.
    """
    picture = _enlarged(picture)
    colour = ground(picture)
    # A rim of ground, so that what is cut by the frame ends softly.
    rimmed = ImageOps.expand(picture, _RIM, colour)
    turned = rimmed.rotate(_side(generator) * degrees, Image.Resampling.BICUBIC, fillcolor=colour)
    return ImageOps.crop(turned, _RIM)


def turn(picture: Image.Image, degrees: float, generator: np.random.Generator) -> Image.Image:
    """Turn as a photograph is turned: frame and all by the nearest quarter, the rest inside it, corners black."""
    degrees *= _side(generator)
    quarters = round(degrees / 90)
    picture = _enlarged(picture).rotate(90 * quarters, expand=True)
    return picture.rotate(degrees - 90 * quarters, Image.Resampling.BICUBIC)


def scale(picture: Image.Image, factor: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Shrink into, or enlarge beyond, the same frame, about the centre."""
    picture = _enlarged(picture)
    width, height = picture.width / factor, picture.height / factor
    return _window(picture, (picture.width - width) / 2, (picture.height - height) / 2, width, height)


def shift(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:
    """Move by a share of the width, in any direction."""
    picture = _enlarged(picture)
    angle = generator.uniform(0, 2 * math.pi)
    far = share * picture.width
    return _window(picture, far * math.cos(angle), far * math.sin(angle), picture.width, picture.height)


def middle(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Keep the middle of the picture, a share of each side."""
    picture = _enlarged(picture)
    width, height = (max(1, round(share * side)) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def crop(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:
    """Keep a share of each side, off the centre: by a fifth of the room there is, whichever way."""
    picture = _enlarged(picture)
    width, height = (max(1, round(share * side)) for side in picture.size)
    left = round((picture.width - width) * (0.5 + 0.2 * _side(generator)))
    top = round((picture.height - height) * (0.5 + 0.2 * _side(generator)))
    return picture.crop((left, top, left + width, top + height))


def mirror(picture: Image.Image, made: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Swap left and right."""
    return ImageOps.mirror(picture)


def resize(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Make each side a share of what it was."""
    width, height = (max(1, round(share * side)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def blur(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Blur by a Gaussian whose standard deviation is a share of the longer side."""
    return picture.filter(ImageFilter.GaussianBlur(share * max(picture.size)))


def noise(picture: Image.Image, deviation: float, generator: np.random.Generator) -> Image.Image:
    """Add Gaussian noise to every pixel and channel, in [0, 1], and clip."""
    pixels = np.asarray(picture, np.float32)
    noisy = pixels + 255 * deviation * generator.standard_normal(pixels.shape, np.float32)
    return Image.fromarray(np.rint(noisy.clip(0, 255)).astype(np.uint8))


def jpeg(picture: Image.Image, quality: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Write as JPEG and read again."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=round(quality))
    return Image.open(content, formats=("JPEG",)).convert(picture.mode)


def colour(picture: Image.Image, strength: float, generator: np.random.Generator) -> Image.Image:
    """Turn the hue by 90 degrees x strength; multiply or divide saturation by 1 + strength, brightness by half as much.

    A grey picture has no hue and no saturation: its contrast is changed instead.
    """
    way = _side(generator)
    vivid, light = (1 + strength) ** _side(generator), (1 + strength / 2) ** _side(generator)
    if picture.mode == "L":
        picture = ImageEnhance.Contrast(picture).enhance(vivid)
    else:
        hue, saturation, value = picture.convert("HSV").split()
        hue = ImageChops.add_modulo(hue, Image.new("L", hue.size, round(way * strength * 64) % 256))
        picture = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
        picture = ImageEnhance.Color(picture).enhance(vivid)
    return ImageEnhance.Brightness(picture).enhance(light)


def bright(picture: Image.Image, factor: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Multiply the brightness of every pixel, and clip."""
    return ImageEnhance.Brightness(picture).enhance(factor)


def grey(picture: Image.Image, made: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Take the colour away."""
    return picture.convert("L").convert(picture.mode)


def text(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:
    """Lay a caption over the lower or the upper edge: white, edged in black, as high as a share of the height."""
    picture = _enlarged(picture).copy()
    size = share * picture.height
    low = _side(generator) > 0
    if size >= 1:
        place = (picture.width / 2, picture.height * (0.97 if low else 0.03))
        _write(picture, place, _CAPTION, size, "mb" if low else "mt", edge=True)
    return picture


def frame(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:
    """Put a white or a black border around, as wide as a share of the longer side."""
    light = _light(generator, picture.mode, 255, 0)
    return ImageOps.expand(picture, round(share * max(picture.size)), light)


def letterbox(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Put a black bar above and below, each as high as a share of the height."""
    return ImageOps.expand(picture, (0, round(share * picture.height)), 0)


def screenshot(picture: Image.Image, made: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Show in a window: a light frame around, and above it a bar with a title and three buttons."""
    picture = _enlarged(picture)
    longest = max(picture.size)
    edge, bar = max(1, round(0.06 * longest)), max(6, round(0.09 * longest))
    bar_light = _light(generator, picture.mode, 205, 60)
    shown = ImageOps.expand(picture, edge, _grey(picture.mode, 245))
    canvas = Image.new(picture.mode, (shown.width, shown.height + bar), bar_light)
    canvas.paste(shown, (0, bar))
    draw = ImageDraw.Draw(canvas)
    for button in range(3):
        left = canvas.width - (button + 1) * bar * 0.9
        draw.ellipse((left, 0.3 * bar, left + 0.4 * bar, 0.7 * bar), fill=_grey(picture.mode, 130))
    _write(canvas, (0.5 * bar, 0.5 * bar), "Pictures", 0.5 * bar, "lm")
    return canvas


def phone(picture: Image.Image, made: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Show in the middle of a telephone's screen, dark or light: the time above, buttons below."""
    picture = _enlarged(picture)
    width, height = picture.width, max(round(_PHONE * picture.width), round(1.3 * picture.height))
    canvas = Image.new(picture.mode, (width, height), _light(generator, picture.mode, 255, 0))
    canvas.paste(picture, (0, (height - picture.height) // 2))
    size = 0.05 * width
    _write(canvas, (size, size), "12:30", size, "lt")
    draw = ImageDraw.Draw(canvas)
    for button in range(4):
        x, y = (button + 0.5) * width / 4, height - 2 * size
        draw.ellipse((x - size / 2, y - size / 2, x + size / 2, y + size / 2), fill=_grey(picture.mode, 130))
    return canvas


def _side(generator: np.random.Generator) -> int:
    """Draw -1 or 1."""
    return int(generator.choice((-1, 1)))


def _light(generator: np.random.Generator, mode: str, light: int, dark: int) -> int | tuple[int, int, int]:
    """Draw a light or a dark grey."""
    return _grey(mode, light if _side(generator) > 0 else dark)


def _grey(mode: str, value: int) -> int | tuple[int, int, int]:
    return value if mode == "L" else (value, value, value)


def _write(
    picture: Image.Image, place: tuple[float, float], words: str, size: float, anchor: str, *, edge: bool = False
) -> None:
    """Write into a picture: in the middle grey, or in white with a black edge."""
    font = ImageFont.load_default(max(1.0, size))
    fill, width = (255, max(1, round(size / 12))) if edge else (130, 0)
    draw = ImageDraw.Draw(picture)
    draw.text(
        place,
        words,
        fill=_grey(picture.mode, fill),
        font=font,
        anchor=anchor,
        stroke_width=width,
        stroke_fill=_grey(picture.mode, 0),
    )


def _enlarged(picture: Image.Image) -> Image.Image:
    times = math.ceil(_SHORTEST / min(picture.size))
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.BICUBIC)


def _window(picture: Image.Image, left: float, top: float, width: float, height: float) -> Image.Image:
    """Show a window of a picture and the ground around it, in the picture's own size."""
    out = 1 + math.ceil(max(0, -left, -top, left + width - picture.width, top + height - picture.height))
    size = (picture.width + 2 * out, picture.height + 2 * out)
    canvas = Image.new(picture.mode, size, ground(picture))
    canvas.paste(picture, (out, out))
    # Unlike an affine transform, resizing averages where it makes smaller.
    box = (left + out, top + out, left + out + width, top + out + height)
    return canvas.resize(picture.size, Image.Resampling.BICUBIC, box)
