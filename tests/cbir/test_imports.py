"""A search must start fast: what it imports is checked in a fresh process."""

import subprocess
import sys
from pathlib import Path

import pytest

import cbir
from cbir.collection.served.engine import ServedEngine

SLOW_HTTP = {"qdrant_client", "pydantic", "grpc", "httpx", "requests"}
HEAVY = SLOW_HTTP | {"tensorflow", "keras", "sklearn", "scipy", "matplotlib", "h5py", "onnx"}


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n' + ' '.join(m for m in sys.modules if '.' not in m), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_importing_search_is_light():
    names = [
        f"cbir.search.{path.stem}"
        for path in (Path(__file__).parents[2] / "search").glob("*.py")
        if path.stem != "__init__"
    ]
    assert not modules_after(f"import {', '.join(names)}") & HEAVY


def test_importing_cbir_imports_nothing_heavy():
    loaded = modules_after("import cbir")
    assert not loaded & (HEAVY | {"numpy", "onnxruntime", "qdrant_edge", "PIL", "typer"})


@pytest.mark.parametrize("as_json", [True, False])
def test_a_search_imports_nothing_heavy(digits: Path, tmp_path: Path, as_json: bool):
    from cbir.ingest.sources.digits import digits as load_digits

    load_digits().picture("digits:queries/4").save(tmp_path / "q.png")
    loaded = modules_after(command("search", str(tmp_path / "q.png"), *(["--json"] if as_json else [])))
    assert not loaded & HEAVY
    assert loaded >= {"onnxruntime", "qdrant_edge"}


@pytest.mark.parametrize("more", [[], ["--where", "name=*.png"], ["--not-itself", "--expand", "2", "--sort", "index"]])
def test_a_search_on_a_server_imports_nothing_heavy(
    qdrant: str, served: ServedEngine, bundle: Path, home: Path, more: list[str]
):
    cbir.ingest("digits", model=bundle, qdrant_url=qdrant)
    loaded = modules_after(command("search", "digits:queries/4", "--qdrant-url", qdrant, *more))
    assert not loaded & (SLOW_HTTP | {"qdrant_edge"})


def command(*arguments: str) -> str:
    return f"""
sys.argv = {["cbir", *arguments]!r}
from cbir.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
"""
