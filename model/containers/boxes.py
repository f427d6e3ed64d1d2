"""AVIF: boxes, of which one lists the items that a file holds, such as a picture and its EXIF."""

import re

#: Where the list of items is.
_HEAD = 1 << 20
#: An entry of it, version 2 or 3, up to the kind of the item: number, protection.
_EXIF_ITEM = re.compile(rb"(infe[\x02\x03]...(?:..|....)..)Exif", re.DOTALL)


def without_exif(content: bytes) -> bytes:
    """Return a file whose EXIF is an item of no known kind: decoders that read EXIF refuse a picture because of it."""
    return _EXIF_ITEM.sub(rb"\1none", content[:_HEAD]) + content[_HEAD:]
