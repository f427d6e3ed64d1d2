"""Options with a name, a type, a default and a line of help, declared once as the fields of a dataclass.

An encoder's recipe and a search's options are such dataclasses. Here they are
read from text (`rotation=180,preset=quality`), checked, and listed for help;
the command line makes its flags from them.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, get_args, get_type_hints

from cbir.core.errors import CbirError


class OptionError(CbirError):
    """An option that does not exist, or a value that it does not take."""


def spelled(option: str) -> str:
    """Return the name of an option as text has it: `batch_size` is `batch-size`."""
    return option.replace("_", "-")


def identifier(text: str) -> str:
    """Return the name of an option as Python has it, however a text spells it."""
    return text.strip().replace("-", "_")


def flag(option: str) -> str:
    """Return an option as it is typed on the command line: `batch_size` is `--batch-size`."""
    return f"--{spelled(option)}"


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes
    ----------
    name : str
        As a Python identifier; see `spelled` for text.
    type : type
        `int`, `float`, `str` or `bool`; of each value, where there may be several.
    default : object
        None where it depends on the pictures; `help` says how. A tuple where an option may be given several times,
        whose value is then a tuple.
    help : str
        One line.
    least, most : float or None
        Bounds of a number, both included.
    choices : tuple of str
        The only values of a text; empty if any will do.
    """

    name: str
    type: type
    default: Any
    help: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def repeatable(self) -> bool:
        """Whether it may be given several times."""
        return isinstance(self.default, tuple)

    def check(self, value: Any) -> Any:
        """Return a value in this option's type.

        Raises
        ------
        OptionError
            Another type, or out of bounds.
        """
        if value is None and self.default is None:
            return None
        if self.repeatable:
            if isinstance(value, str) or not isinstance(value, Iterable):
                raise OptionError(f"{spelled(self.name)} must be a sequence, not {value!r}")
            return tuple(self._check(each) for each in value)
        return self._check(value)

    def _check(self, value: Any) -> Any:
        kind, wording = _KINDS[self.type]
        if not isinstance(value, kind) or (isinstance(value, bool) and self.type is not bool):
            raise OptionError(f"{spelled(self.name)} must be {wording}, not {value!r}")
        if self.choices and value not in self.choices:
            raise OptionError(f"{spelled(self.name)} must be {' or '.join(self.choices)}, not {value!r}")
        if self.least is not None and not self.least <= value < math.inf:
            raise OptionError(f"{spelled(self.name)} must be at least {self.least:g}, not {value}")
        if self.most is not None and value > self.most:
            raise OptionError(f"{spelled(self.name)} must be at most {self.most:g}, not {value}")
        return self.type(value)

    def parse(self, text: str) -> Any:
        """Return the value that a text spells.

        Raises
        ------
        OptionError
            Not a value of this option.
        """
        text = text.strip()
        try:
            if self.type is bool:
                value: Any = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                    text.lower()
                ]
            else:
                value = self.type(text)
        except (KeyError, ValueError):
            raise OptionError(f"{spelled(self.name)} must be {_KINDS[self.type][1]}, not '{text}'") from None
        return self.check((value,) if self.repeatable else value)


_KINDS: dict[type, tuple[Any, str]] = {
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a word"),
}


def option(
    default: Any,
    help: str,  # noqa: A002 - what everybody calls it
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a dataclass field that is an option; see `Option`."""
    metadata = {"help": help, "least": least, "most": most, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


def options_of(declared: type) -> dict[str, Option]:
    """Return the options that a dataclass declares, in their order."""
    if declared not in _LISTED:
        hints = get_type_hints(declared)
        _LISTED[declared] = {
            field.name: Option(
                name=field.name,
                type=next(kind for kind in (get_args(hints[field.name]) or (hints[field.name],)) if kind in _KINDS),
                default=field.default,
                **field.metadata,
            )
            for field in dataclasses.fields(declared)
            if "help" in field.metadata
        }
    return _LISTED[declared]


#: Dataclasses that were listed before: their options are checked whenever one is made, and listing takes 0.1 ms.
_LISTED: dict[type, dict[str, Option]] = {}


def check_options(declared: Any) -> None:
    """Check the option fields of a dataclass instance; to be called by its `__post_init__`.

    Raises
    ------
    OptionError
    """
    for name, known in options_of(type(declared)).items():
        known.check(getattr(declared, name))


def make(declared: type, given: Mapping[str, Any], owner: str) -> Any:
    """Make an instance of a dataclass from values by name.

    Parameters
    ----------
    declared : type
        A dataclass of options.
    given : Mapping
        A text is parsed where the option has another type.
    owner : str
        Whose options they are, for the message: `encoder 'pca'`.

    Raises
    ------
    OptionError
        An unknown option; the message lists the valid ones. Or a wrong value.
    """
    known = options_of(declared)
    values = {}
    for text, value in given.items():
        name = identifier(text)
        if name not in known:
            names = ", ".join(map(spelled, known)) or "none"
            raise OptionError(f"{owner} has no option '{spelled(name)}' (its options: {names})")
        values[name] = known[name].parse(value) if isinstance(value, str) else known[name].check(value)
    return declared(**values)


def split(text: str) -> tuple[str, dict[str, str]]:
    """Split `NAME:option=value,option=value` into the name and the texts of its options.

    Raises
    ------
    OptionError
        A part without `=`.
    """
    name, _, rest = text.partition(":")
    options = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise OptionError(
                f"'{part}' in '{text}' is not an option; options are written NAME:option=value,option=value"
            )
        options[key.strip()] = value
    return name.strip(), options


def spell(name: str, options: Mapping[str, Any]) -> str:
    """Write a name and options as `split` reads them."""
    parts = [
        f"{spelled(key)}={value:g}" if isinstance(value, float) else f"{spelled(key)}={value}"
        for key, value in options.items()
    ]
    return f"{name}:{','.join(parts)}" if parts else name
