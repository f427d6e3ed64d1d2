"""Which files of an archive or a list are pictures: by their names' endings, else by their first bytes.

What has the ending of a picture and is none is taken, so that reading it says
why; what has another ending, or none, is looked into.
"""

import functools
from collections.abc import Callable

from cbir.core.extras import to_install
from cbir.model.formats import FORMATS, SUFFIXES, missing_extra, sniff, suffix_of


def is_plain(name: str) -> bool:
    """Tell whether a name's ending says that it is a picture which can be read, whatever is in the file."""
    dot = name.rfind(".")
    # A name that begins with its only dot has no ending. (Asking pathlib takes ten times as long.)
    return dot > 0 and name[dot - 1] not in "/ " and _is_plain(name[dot:])


@functools.lru_cache(maxsize=1000)
def _is_plain(ending: str) -> bool:
    suffix = suffix_of(f"name{ending}")
    return any(suffix in known.suffixes and not missing_extra(known.name) for known in FORMATS)


def refusal(name: str, head: Callable[[], bytes]) -> tuple[str, str, str] | None:
    """Return why a file is not taken as a picture; None if it is.

    Parameters
    ----------
    name : str
    head : callable
        Returns the first `SNIFFED_BYTES` of the file; called only if the name does not decide.

    Returns
    -------
    (reason, detail, hint), or None
        As of `Listing.leave_out`.

    Raises
    ------
    Whatever `head` does.
    """
    if is_plain(name):
        return None
    suffix, found = suffix_of(name), sniff(head(), name)
    if found is None:
        return None if suffix in SUFFIXES else ("not pictures", suffix or "no ending", "")
    if extra := missing_extra(found):
        return f"{found} pictures", "", f"to read them: {to_install(extra)}"
    return None
