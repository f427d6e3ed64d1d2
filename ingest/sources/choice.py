"""Which files of a source are taken: the options, and the rules behind them.

In: a path relative to the source's root. Out: nothing if it is taken, else the
reason why not. Options leave out most, then a `.cbirignore` file, then what
programs keep for themselves; `include` limits what is left.
"""

import os
import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from cbir.core.options import OptionError, check_options, flag, option, options_of

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: A file of gitignore's form, in any folder.
IGNORE_FILE = ".cbirignore"
#: What `labels` may be instead of a file.
MODES = ("auto", "folder", "none")

#: Folders that programs, file servers and the trash keep for themselves; hidden ones need not be named.
_OF_PROGRAMS = (
    "@eaDir", "@Recycle", "@__thumb", "#recycle", "#snapshot", "$RECYCLE.BIN", "RECYCLER", "System Volume Information",
    "__MACOSX", "node_modules", "__pycache__",
)  # fmt: skip
#: Hidden ones that stay left out when hidden files are taken.
_HIDDEN_OF_PROGRAMS = (".git", ".hg", ".svn", ".Trash", ".Trashes", ".thumbnails", ".Spotlight-V100", ".fseventsd")
_PROGRAMS = frozenset(os.fsencode(name) for name in (*_OF_PROGRAMS, *_HIDDEN_OF_PROGRAMS))
_TRASH, _BESIDE = b".Trash-", b"._"
_BEGINNINGS = frozenset(name[0] for name in (*_PROGRAMS, b"."))


@dataclass(frozen=True)
class Choice:
    """Which files of a folder, an archive or a list are taken, and what they are labelled with.

    Patterns are those of gitignore, relative to the root.
    """

    exclude: Sequence[str] = option((), "Leave out what matches this pattern (gitignore's form); may be repeated.")
    include: Sequence[str] = option(
        (),
        "Take only files that match this pattern, or are in a folder that does; also hidden ones and those of "
        "programs, if it names them ('.*', '@eaDir'); may be repeated.",
    )
    hidden: bool = option(False, "Take hidden files and folders too.")
    follow: bool = option(False, "Follow links that lead out of the folder.")
    labels: str = option(
        "auto",
        "Where labels come from: auto (class folders, where there is nothing else), folder, none, or a .csv, .jsonl or "
        ".parquet file with the columns uri and label.",
    )

    def __post_init__(self) -> None:
        check_options(self)

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "Choice":
        """Return what was `described`; what a newer cbir wrote besides does not count.

        Raises
        ------
        OptionError
            A value that is none.
        """
        return cls(**{name: value for name, value in described.items() if name in options_of(cls)})

    def described(self) -> dict[str, Any]:
        """Return what differs from the usual choice, as JSON values, to be remembered."""
        known = {name: getattr(self, name) for name, option in options_of(Choice).items()}
        known["labels"] = self.labels if self.labels in MODES else str(Path(self.labels).expanduser().absolute())
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}
        return {name: value for name, value in values.items() if value not in (False, [], "auto")}


def as_typed(described: Mapping[str, Any]) -> str:
    """Return what was `Choice.described` as it is typed: `--exclude drafts/ --hidden`."""
    words = []
    for name, value in described.items():
        values = value if isinstance(value, list) else [value]
        words += [flag(name) if each is True else f"{flag(name)} {shlex.quote(str(each))}" for each in values]
    return " ".join(words)


class ChoiceKeywords(TypedDict, total=False):
    """The options of a `Choice` as keywords of a function; a test keeps both the same."""

    exclude: Sequence[str]
    include: Sequence[str]
    hidden: bool
    follow: bool
    labels: str


class Sieve:
    """The rules of a choice.

    Parameters
    ----------
    choice : Choice

    Raises
    ------
    OptionError
        A pattern that is none.
    """

    def __init__(self, choice: Choice) -> None:
        self._hidden = choice.hidden
        self._exclude = _given(choice.exclude, "--exclude")
        self._include = _given(choice.include, "--include")
        self._naming = [part for each in choice.include for part in each.lstrip("!").split("/")]

    @property
    def simple(self) -> bool:
        """Whether there are no patterns, so that the name alone decides."""
        return self._exclude is None and self._include is None

    def reason(
        self, path: bytes, *, folder: bool, ignores: Sequence[tuple[bytes, "GitIgnoreSpec"]] = ()
    ) -> tuple[str, str, str] | None:
        """Return why something is not taken.

        Parameters
        ----------
        path : bytes
            Relative to the root, with `/`. Whoever asks has asked about the folders that it is in.
        folder : bool
            It is a folder.
        ignores : sequence of (folder, patterns)
            What the ignore files of the folders above it say, from the root down.

        Returns
        -------
        (reason, detail, hint), or None
            As of `Listing.leave_out`; None if it is taken.
        """
        name = path[path.rfind(b"/") + 1 :]
        text = _text(path) + ("/" if folder else "") if ignores or not self.simple else ""
        if self._exclude is not None and _verdict(self._exclude, text):
            return "matched by --exclude", "", ""
        ignored = _ignored(text, ignores)
        if ignored:
            return f"named in {IGNORE_FILE}", "", ""
        if ignored is None and (reason := self._reason_of_name(name)) and not self._is_named(name):
            return reason
        if self._include is not None and not folder and not self._include.match_file(text):
            return "matched by no --include", "", ""
        return None

    def leaves_out(self, path: bytes) -> bool:
        """Tell whether a file, or a folder that it is in, is not taken, whatever ignore files say."""
        ends = (at for at, character in enumerate(path) if character == ord("/"))
        return any(self.reason(path[:end], folder=True) for end in ends) or self.reason(path, folder=False) is not None

    def _reason_of_name(self, name: bytes) -> tuple[str, str, str] | None:
        if name.startswith(_BESIDE):
            return "files that macOS keeps beside others", "._*", ""
        if name in _PROGRAMS or name.startswith(_TRASH):
            detail = os.fsdecode(name)
            return "of programs or in the trash", detail, "--include NAME takes them"
        if name.startswith(b".") and not self._hidden:
            return "hidden", "", "--hidden takes them"
        return None

    def _is_named(self, name: bytes) -> bool:
        """Return whether an `include` pattern means a name that is left out; `*` does not, as in a shell."""
        text = _text(name)
        return any(part[:1] == text[:1] and fnmatchcase(text, part) for part in self._naming)


def may_be_left_out(name: bytes) -> bool:
    """Return whether a name might be left out by itself; quick, to spare most names the question."""
    return name[0] in _BEGINNINGS


def patterns(lines: Iterable[str], owner: str) -> "GitIgnoreSpec":
    """Read patterns of gitignore's form.

    Raises
    ------
    OptionError
        A pattern that is none; `owner` is named.
    """
    from pathspec import GitIgnoreSpec

    try:
        spec = GitIgnoreSpec.from_lines(unicodedata.normalize("NFC", line) for line in lines)
    except ValueError as error:
        raise OptionError(f"{owner}: {error}") from None
    for pattern in spec.patterns:
        regex = getattr(pattern, "regex", None)
        if regex is not None:
            pattern.regex = re.compile(_TWO_STARS.sub(r"(?>[^/]*?\1)", regex.pattern), regex.flags)
    return spec


#: A star of a pattern, and what stands between it and the next one. To take that where it comes first is enough; to try
#: all places takes ages for a name such as `aaaaaa...`, and an ignore file may come with somebody else's folder.
#: Sets of characters are left as they are: they may hold a `/`, at which a star stops.
_TWO_STARS = re.compile(r"\[\^/\]\*((?:\\.|\[\^/\](?!\*)|[^\\()\[\]*+?|{}.$^])+)(?=\[\^/\]\*)")


def _given(lines: Sequence[str], flag: str) -> "GitIgnoreSpec | None":
    """Return the patterns of an option; None if there are none. `#` begins a name here, not a comment."""
    if not lines:
        return None
    for line in lines:
        if not any(pattern.include is not None for pattern in patterns([_name(line)], flag).patterns):
            raise OptionError(f"{flag}: '{line}' is no pattern (gitignore's form: '*.png', 'drafts/', '2024/**')")
    return patterns(map(_name, lines), flag)


def _name(line: str) -> str:
    return f"\\{line}" if line.startswith("#") else line


def _ignored(text: str, ignores: Sequence[tuple[bytes, "GitIgnoreSpec"]]) -> bool | None:
    """Return what the nearest ignore file that mentions a path says: True to leave it out, False to take it."""
    for folder, spec in reversed(ignores):
        inner = text[len(_text(folder)) + 1 :] if folder else text
        if (verdict := _verdict(spec, inner)) is not None:
            return verdict
    return None


def _verdict(spec: "GitIgnoreSpec", text: str) -> bool | None:
    """Return whether patterns match (True) or except (False) a path; None if they do not mention it."""
    found = spec.check_file(text)
    # `drafts/**` means what is in the folder, not the folder: one of the files in it may be excepted.
    if found.index is not None and text.endswith("/") and str(spec.patterns[found.index].pattern).endswith("/**"):
        found = spec.check_file(text[:-1])
    return found.include


def _text(path: bytes) -> str:
    """Return a path as patterns are written: macOS writes `ä` as two characters."""
    text = path.decode("utf-8", "surrogateescape")
    return text if text.isascii() else unicodedata.normalize("NFC", text)
