"""`cbir encoders`: the encoders there are."""

from cbir import documents
from cbir.cli.output import print_json
from cbir.cli.parameters import AsJson


def encoders(json_: AsJson = False) -> None:
    """List the encoders: what each is, and what it learns from."""
    listed = documents.encoders()
    if json_:
        print_json(listed)
        return
    from cbir.cli.terminal import table

    rows = [(f"{e['name']} (default)" if e["default"] else e["name"], e["learns_from"], e["line"]) for e in listed]
    table("", [("encoder", False), ("learns from", False), ("", False)], rows)
