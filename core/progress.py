"""How long work reports its progress without knowing who listens.

Every function that may take seconds takes a `Progress` and calls it with the
name of its stage. The command line draws a bar for each stage; a script may
pass its own function; `silent` ignores the calls. There is no other type of
progress callback in the project.
"""

from typing import Protocol

#: What people call the stages.
STAGES = {
    "download": "downloading",
    "list": "listing files",
    "read": "reading pictures",
    "train": "training",
    "adapt": "adapting to the pictures",
    "export": "exporting the encoder",
    "check": "checking points",
    "compare": "comparing with what is stored",
    "encode": "encoding and storing",
    "embed": "encoding",
    "smooth": "averaging with neighbours",
    "index": "indexing",
    "load": "loading features",
    "queries": "encoding queries",
    "search": "searching",
    "rank": "ranking",
    "copies": "searching edited copies",
    "calibrate": "trying edited copies",
    "candidates": "looking for candidates",
    "confirm": "comparing pictures",
    "draw": "drawing",
    "copy": "copying points",
    "snapshot": "writing the snapshot",
    "restore": "restoring",
    "remove": "removing points",
}


class Progress(Protocol):
    """Called often and cheaply."""

    def __call__(self, stage: str, done: int, total: int | None, note: str = "") -> None:
        """Report progress.

        Parameters
        ----------
        stage : str
            What is being done: `read`, `train`, `encode`, ...
        done : int
            Steps done.
        total : int or None
            Steps in all; None while that is unknown.
        note : str
            Shown behind the bar.
        """
        ...


def silent(stage: str, done: int, total: int | None, note: str = "") -> None:
    """Ignore the report."""


def labelled(progress: Progress, label: str) -> Progress:
    """Return a progress function that puts a label, such as an encoder's name, before each note."""

    def report(stage: str, done: int, total: int | None, note: str = "") -> None:
        progress(stage, done, total, ", ".join(filter(None, (label, note))))

    return report


def share(progress: Progress, part: int, parts: int, label: str = "") -> Progress:
    """Return a progress function for one of several equally long parts of a stage, the first being part 0."""

    def report(stage: str, done: int, total: int | None, note: str = "") -> None:
        text = ", ".join(filter(None, (label, note)))
        if total is None:
            progress(stage, done, None, text)
        else:
            progress(stage, total * part + done, total * parts, text)

    return report
