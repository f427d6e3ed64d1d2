"""The command line: a thin layer over the functions of `cbir`.

Each command is a file of this folder, with a function of the file's name. A
command's file is imported when the command is run, or all of them for
`cbir --help`. Every command prints for people, or with `--json` one document on
standard output; progress and messages go to standard error.
"""

import difflib
import importlib
import os
import pkgutil
import sys
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from cbir.cli.errors import handle_errors, printable_usage, show_tracebacks
from cbir.cli.output import prepare_streams
from cbir.cli.stopping import stop_in_order

#: The order of the help; a command that is not named here comes last.
_ORDER = (
    *("ingest", "search", "embed", "duplicates", "evaluate", "compare", "denoise", "info", "encoders"),
    *("push", "pull", "snapshot", "restore", "move", "remove", "prune"),
)
#: Files of this folder that are not commands.
_SHARED = {"batch", "confirm", "errors", "options", "output", "parameters", "stopping", "terminal", "watching"}
_SETTINGS = {"help_option_names": ["-h", "--help"]}


def _commands() -> set[str]:
    """Return the names of the commands: a file each."""
    return {module.name for module in pkgutil.iter_modules(__path__)} - _SHARED


class _Commands(typer.core.TyperGroup):
    """The commands, each made from its file when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return sorted(_commands(), key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known, (typed, *_) = self.list_commands(ctx), args
        if typed not in known and not typed.startswith("-"):
            meant = difflib.get_close_matches(typed.lower(), known)
            if os.path.exists(typed):  # noqa: PTH110 - never raises
                meant += [f"{command} {typed}" for command in known[:2]]
            if meant:
                ctx.fail(f"No such command '{typed}'. Did you mean {' or '.join(f'cbir {each}' for each in meant)}?")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        function = getattr(importlib.import_module(f"cbir.cli.{cmd_name}"), cmd_name)
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name, context_settings=_SETTINGS)(handle_errors(function))
        return typer.main.get_command(single)

    def invoke(self, ctx: Any) -> Any:
        with printable_usage():
            return super().invoke(ctx)


app = typer.Typer(
    name="cbir",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
    epilog="Every command that prints a result takes --json. Collections and models are in CBIR_HOME (see: cbir info).",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # 40 ms that no other command needs

        typer.echo(f"cbir {version('cbir')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print tracebacks; anywhere on the line.")] = False,
) -> None:
    """Find images that look like a query image. No labels needed."""


def main() -> None:
    """Run the command line; `--debug` may stand anywhere, as people add it after something failed."""
    prepare_streams()
    stop_in_order()
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        show_tracebacks()
        arguments = [argument for argument in arguments if argument != "--debug"]
    if arguments and arguments[0] in _commands():
        # Here, and not deep in Typer's calls: there, Python 3.11 allocates and frees memory for its stack at nearly
        # every call while NumPy is imported, which takes 20 ms longer.
        importlib.import_module(f"cbir.cli.{arguments[0]}")
    app(args=arguments)
