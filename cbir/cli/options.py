"""Flags made from a dataclass of options, so that a command names none of them.

In: a dataclass whose fields are declared by `cbir.core.options.option`. Out: a
command with a flag for each; it receives an instance of the dataclass.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

import typer

from cbir.core.options import Option, flag, options_of


def options_from(declared: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that puts flags in the place of a command's parameter `options`.

    Parameters
    ----------
    declared : type
        The dataclass; `k` becomes `-k`, `batch_size` becomes `--batch-size`.

    Examples
    --------
    >>> @options_from(SearchOptions)  # doctest: +SKIP
    ... def search(image: str, options: SearchOptions) -> None: ...
    """
    known = options_of(declared)
    flags = [_parameter(option) for option in sorted(known.values(), key=lambda option: len(option.name) > 1)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**arguments: Any) -> None:
            given = {name: arguments.pop(name) for name in known}
            several = {name: tuple(given[name] or ()) for name, option in known.items() if option.repeatable}
            options = declared(**{**given, **several})
            command(**arguments, options=options)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            parameters += flags if parameter.name == "options" else [parameter]
        # Python wants parameters without a default first; Typer passes all by name.
        signature = inspect.Signature([p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def typed(context: typer.Context, names: Iterable[str]) -> set[str]:
    """Return those of a command's parameters that were typed, and not left at their defaults."""
    sources = {name: context.get_parameter_source(name) for name in names}
    return {name for name, source in sources.items() if source is not None and not source.name.startswith("DEFAULT")}


def _parameter(option: Option) -> inspect.Parameter:
    """Return a flag as Typer reads it from a function's signature."""
    name = f"-{option.name}" if len(option.name) == 1 else flag(option.name)
    if option.type is bool and option.default is not False:
        name = f"{name}/{flag('no_' + option.name)}"
    bounds: dict[str, Any] = {}
    if option.type in (int, float):
        bounds = {"min": option.least, "max": option.most}
    values: Any = Literal[option.choices] if option.choices else option.type
    if option.repeatable:
        values = list[values]
    optional = values | None if option.default in (None, ()) else values
    annotation: Any = Annotated[optional, typer.Option(name, help=option.help, **bounds)]
    kind = inspect.Parameter.KEYWORD_ONLY
    default = option.default or None if option.repeatable else option.default
    return inspect.Parameter(option.name, kind, default=default, annotation=annotation)
