"""Files damaged at random, always the same for the same seed: cut, flipped, overwritten, put together of two."""

import random
from collections.abc import Mapping

#: What breaks readers: nothing, everything, signs, the greatest numbers.
_NASTY = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\0",
    b"\xff\xd9",
    b"\xff\xda",
)
#: What is done; some more often than others.
_KINDS = ("cut", "flip", "flip", "flip", "nasty", "nasty", "zeros", "remove", "repeat", "head", "tail", "junk")


def damaged(seed: int, files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Return the name of a file and a damaged version of its content.

    Parameters
    ----------
    seed : int
    files : Mapping
        Names to contents.
    """
    chance = random.Random(seed)
    names = sorted(files)
    name = chance.choice(names)
    content = bytearray(files[name])
    for _ in range(chance.choice((1, 1, 1, 1, 2, 4))):
        if content:
            _damage(chance, content, files[chance.choice(names)])
    if chance.random() < 0.1:  # under another format's name
        name = chance.choice(names)
    return name, bytes(content)


def _damage(chance: random.Random, content: bytearray, other: bytes) -> None:
    # Headers are short and matter most.
    near = min(len(content), chance.choice((32, 128, 512, len(content), len(content))))
    place = chance.randrange(near)
    kind = chance.choice(_KINDS)
    if kind == "cut":
        del content[chance.randrange(chance.choice((0, len(content) // 2)), len(content)) :]
    elif kind == "flip":
        for _ in range(chance.choice((1, 1, 2, 8))):
            content[chance.randrange(near)] ^= 1 << chance.randrange(8)
    elif kind == "nasty":
        bad = chance.choice(_NASTY)
        content[place : place + len(bad)] = bad
    elif kind == "zeros":
        content[place : place + 64] = bytes(min(64, len(content) - place))
    elif kind == "remove":
        del content[place : place + chance.choice((1, 2, 4, 32))]
    elif kind == "repeat":
        content[place:place] = content[place : place + chance.choice((1, 16, 200))]
    elif kind == "head":
        content[: chance.choice((4, 12, 40))] = other[: chance.choice((4, 12, 40))]
    elif kind == "tail":
        content[place:] = other[min(place, len(other)) :]
    else:
        content[place:place] = chance.randbytes(chance.choice((1, 40, 5000)))
