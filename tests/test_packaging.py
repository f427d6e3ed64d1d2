"""What is built and installed: one import package, whatever lies beside the user's script."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("collection", "core", "evaluate", "ingest", "model", "search")


def built(place: Path, kind: str, out: Path) -> Path:
    """Build an sdist or a wheel of the project in `place`."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(out)]
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name for name in archive.namelist() if "dist-info" not in name)


def test_a_wheel_adds_cbir_and_nothing_else(wheel: Path):
    files = names(wheel)
    assert {name.split("/")[0] for name in files} == {"cbir"}
    sources = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".ttf")]
    sources += [path for path in (ROOT / "cbir").rglob("*.py") if not {*path.relative_to(ROOT).parts[1:2]} & {*ROOMS}]
    packaged = [path.relative_to(ROOT).as_posix() for path in sources]
    assert len(packaged) > 80
    assert {name if name.startswith("cbir/") else f"cbir/{name}" for name in packaged} <= set(files)
    assert "cbir/py.typed" in files
    assert not [name for name in files if "__pycache__" in name or name.endswith(".pyc")]


def test_an_sdist_gives_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path):
    with tarfile.open(sdist) as archive:
        assert not [member.name for member in archive if member.islnk() or member.issym()]
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert names(built(unpacked, "wheel", tmp_path / "out")) == names(wheel)


def test_installed_it_is_imported_beside_files_named_like_its_rooms(wheel: Path, tmp_path: Path):
    venv.create(tmp_path / "empty", with_pip=False)
    python = tmp_path / "empty" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    for room in ROOMS:
        (tmp_path / f"{room}.py").write_text("raise ImportError('the one beside the script')\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import cbir\n"
        "import cbir.core.errors, cbir.core.options\n"
        "assert issubclass(cbir.core.errors.CbirError, Exception)\n"
        "print(cbir.__file__)\n"
    )
    without_checkout = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(python), str(script)], capture_output=True, text=True, env=without_checkout)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "empty")


def test_the_pythons_that_are_named_are_those_that_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    (tested,) = re.findall(r"^PYTHONS .= (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [f"python{version}" for version in named] == tested.split()
    assert project["requires-python"] == f">={named[0]}"
