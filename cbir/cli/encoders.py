"""`cbir encoders`: all encoders, or the options of one."""

from typing import Annotated, Any

import typer

from cbir import documents
from cbir.cli.output import print_json
from cbir.cli.parameters import AsJson


def encoders(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show the options of this encoder.")] = None,
    json_: AsJson = False,
) -> None:
    """List the encoders, or the options of one: name, type, default, and what it does."""
    document = documents.encoders() if name is None else documents.encoder(name)
    if json_:
        print_json(document)
    elif isinstance(document, list):
        _print_encoders(document)
    else:
        _print_options(document)


def _print_encoders(listed: list[dict[str, Any]]) -> None:
    from cbir.cli.terminal import line, table

    rows = [(e["name"], e["learns_from"], _summary(e)) for e in listed]
    table("", [("encoder", False), ("learns from", False), ("", False)], rows)
    for encoder in listed:
        if encoder["default_for"]:
            line(f"{encoder['name']} is the default for {encoder['default_for']}")
    line("options of an encoder: cbir encoders NAME")


def _summary(encoder: dict[str, Any]) -> str:
    """Return what an encoder is, and what its first use downloads under which licence."""
    from cbir.core.words import size

    if not encoder["download_bytes"]:
        return str(encoder["summary"])
    return f"{encoder['summary']} {size(encoder['download_bytes'])}, {encoder['licence']}."


def _print_options(encoder: dict[str, Any]) -> None:
    from cbir.cli.terminal import line, table

    line(f"{encoder['name']}: {_summary(encoder)}")
    line(f"learns from {encoder['learns_from']}")
    if not encoder["options"]:
        line("It has no options.")
        return
    rows = [(o["name"], _values(o), _written(o["default"]), o["help"]) for o in encoder["options"]]
    table("", [("option", False), ("values", False), ("default", False), ("", False)], rows)
    line(f"Options follow the name, separated by commas: --encoder {encoder['name']}:option=value,option=value")


def _values(option: dict[str, Any]) -> str:
    """Describe the values an option takes."""
    if option["choices"]:
        return " or ".join(option["choices"])
    bounds = [
        f"{word} {option[bound]:g}"
        for bound, word in (("least", "at least"), ("most", "at most"))
        if option[bound] is not None
    ]
    return ", ".join([option["type"], *bounds])


def _written(default: Any) -> str:
    return "" if default is None else f"{default:g}" if isinstance(default, float) else str(default)
