"""Made photographs: a motif of textured things before a ground, which can be taken again a moment later."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = (320, 240)
#: Drawn larger, so that a camera may move.
_ROOM = 40


def scene(seed: int, *, shot: int = 0, size: tuple[int, int] = SIZE) -> Image.Image:
    """Return a picture of a motif; another shot of it is a moment later: the camera and some things have moved."""
    things = np.random.default_rng([7, seed])
    moment = np.random.default_rng([seed, shot])
    width, height = SIZE[0] + 2 * _ROOM, SIZE[1] + 2 * _ROOM
    colours = Image.fromarray(things.integers(0, 256, (6, 8, 3), np.uint8))
    canvas = colours.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    for number in range(70):
        x, y = things.uniform(0, width), things.uniform(0, height)
        half = things.uniform(5, 28, 2)
        fill = tuple(things.integers(0, 256, 3).tolist())
        if shot and number % 7 == 0:
            x, y = x + moment.uniform(8, 16), y + moment.uniform(-12, -6)
        box = (x - half[0], y - half[1], x + half[0], y + half[1])
        (draw.rectangle if number % 2 else draw.ellipse)(box, fill=fill, outline=fill[::-1], width=2)
    grain = things.normal(0, 12, (height, width, 1))
    noise = moment.normal(0, 2, (height, width, 3))
    canvas = Image.fromarray(np.clip(np.asarray(canvas) + grain + noise, 0, 255).astype(np.uint8))
    canvas = canvas.filter(ImageFilter.GaussianBlur(0.7))
    left, top = (_ROOM + moment.uniform(4, 12, 2) * (1 if shot else 0)).tolist()
    if shot:
        canvas = canvas.rotate(moment.uniform(0.4, 1.2), Image.Resampling.BICUBIC)
    box = (left, top, left + SIZE[0], top + SIZE[1])
    return canvas.resize(size, Image.Resampling.BICUBIC, box)
