"""What an encoder learns from: no labels that are not its own, no picture opened twice, no training repeated."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.core.options import OptionError
from cbir.ingest import learn
from cbir.ingest.job import run
from cbir.ingest.learn import Plan, train_bundle
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.source import Item, Source, SourceError
from cbir.model.errors import ModelError
from cbir.model.pretrained import photo
from cbir.model.pretrained.precision import choose_precision
from cbir.model.registry import encoders, kind_of, parse_encoder
from tests.encoders.labelled import KIND as LABELLED

#: As little of each recipe as there can be, for those encoders that have such options.
SMALL = {"epochs": 1, "batch_size": 32}
_IMAGES = 96


@dataclass(frozen=True)
class Secretive:
    """An item whose label nobody may ask for."""

    uri: str
    open: Callable[[], Image.Image]
    content = None
    payload = MappingProxyType({})

    @property
    def id(self) -> str:
        return self.uri

    @property
    def label(self) -> str:
        raise AssertionError("a label was read")


class SecretiveSource(Source):
    """Noisy discs and bars in colour, labelled in vain."""

    name = "secretive"

    def __len__(self) -> int:
        return _IMAGES

    def items(self) -> Iterator[Any]:
        return (Secretive(f"secretive:{n}", lambda n=n: drawn(n)) for n in range(_IMAGES))

    def queries(self) -> list[Any]:
        return [Secretive(f"secretive:{n}", lambda n=n: drawn(n)) for n in range(_IMAGES, _IMAGES + 8)]


def drawn(seed: int) -> Image.Image:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    centre = generator.uniform(8, 24, 2)
    shape = np.hypot(x - centre[0], y - centre[1]) < 8 if seed % 2 else np.abs(x - centre[0]) < 4
    colours = generator.uniform(0, 220, (2, 3))
    pixels = np.where(shape[..., None], *colours) + generator.uniform(0, 35, (32, 32, 3))
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize("name", [k.name for k in encoders() if k.self_contained and k.learns_from != "labels"])
def test_no_label_is_read(name: str, tmp_path: Path):
    kind = kind_of(name)
    recipe = kind.recipe(**{option: value for option, value in SMALL.items() if option in kind.options})
    ready = train_bundle(tmp_path, name, SecretiveSource(), Plan(kind, recipe))
    assert ready.trained
    assert ready.bundle.kind == name


def test_what_trainings_kept_is_removed_when_the_model_is_whole(tmp_path: Path):
    for name in (".ours.training.npz", ".ours.training-teacher-1.npz", ".ours-2.training.npz"):
        (tmp_path / name).touch()
    kind = kind_of("pixels")
    train_bundle(tmp_path, "ours", SecretiveSource(), Plan(kind, kind.recipe()))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ours-2.training.npz", "ours"]


def test_where_labels_are_learned_from_they_are_read(tmp_path: Path):
    """What the test above relies on: a source that gives its labels away only to be caught."""
    with pytest.raises(AssertionError, match="a label was read"):
        train_bundle(tmp_path, "labelled", SecretiveSource(), Plan(LABELLED, LABELLED.recipe()))


class Counting(Source):
    """Pictures in grey, or every third in colour, that count how often each is opened."""

    name = "counting"

    def __init__(self, count: int, colour: bool = False) -> None:
        self.opened: Counter[int] = Counter()
        self._count = count
        self._colour = colour

    def __str__(self) -> str:
        return self.name

    def __len__(self) -> int:
        return self._count

    def items(self) -> Iterator[Item]:
        return (Item(f"counting:{n}", None, self.name, partial(self._open, n)) for n in range(self._count))

    def queries(self) -> list[Item]:
        raise AssertionError("held-out pictures were opened")

    def _open(self, number: int) -> Image.Image:
        self.opened[number] += 1
        return drawn(number) if self._colour and number % 3 == 1 else drawn(number).convert("L")


def ingested(home: Path, source: Counting, encoder: str, **options: Any) -> None:
    plan = Plan(*parse_encoder(encoder), size=options.pop("size", None))
    report = run(source, "counting", EmbeddedEngine(home / "collections"), home / "models", plan, **options)
    assert report.ingested == min(len(source), options.get("limit", len(source)))


def test_an_encoder_that_learns_opens_each_picture_once_to_learn_and_once_to_encode(home: Path):
    source = Counting(130, colour=True)
    ingested(home, source, "pca")
    assert set(source.opened.values()) == {2}
    assert len(source.opened) == 130


def test_with_a_limit_no_other_pictures_are_opened(home: Path):
    source = Counting(130)
    ingested(home, source, "pca", limit=10)
    assert [source.opened[number] for number in range(10)] == [2] * 10
    assert not sum(source.opened[number] for number in range(10, 130))


def test_what_is_held_to_learn_from_is_bounded_in_bytes(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(learn, "MOST_HELD", 40 * 32 * 32)
    source = Counting(130)
    plan = Plan(*parse_encoder("pca"), size=32)
    report = run(source, "counting", EmbeddedEngine(home / "collections"), home / "models", plan)
    assert (report.ingested, report.model.metadata["images"]) == (130, 40)


@pytest.mark.parametrize(("size", "colour", "sampled"), [(None, False, 100), (32, False, 100), (32, True, 100)])
def test_an_encoder_that_learns_nothing_opens_a_sample_and_then_each_once(
    home: Path, size: int | None, colour: bool, sampled: int
):
    source = Counting(130, colour)  # every second is sampled
    ingested(home, source, "pixels", size=size)
    assert source.opened.total() == 130 + sampled
    assert max(source.opened.values()) == 2


#: `training` in model.json of the bundled digits, as it was when encoders that learn nothing still read them all.
IDENTITIES = {
    "pca": "cafc51e5fbca52093d5e84e4dfbf591ca4dd8ec5410ccc23f48f829cc3995e2d",
    "pixels": "243c80f9ea8cd673351e71a45e7b49e3163fb3b39d4a398cc3cf3865615cfb8f",
    "hog": "23ec485da49ee88fd56ee8e7ccf5001ea38296e77930bcd6e7055071c62ecfb1",
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_a_bundle_that_was_trained_before_is_found_again(home: Path, name: str):
    first = cbir.ingest("digits", encoder=name)
    card = first.model.path / "model.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "training": IDENTITIES[name], "images": 1500}))
    again = cbir.ingest("digits", encoder=name, collection="again")
    assert (again.trained, again.model.name) == (False, "digits")
    assert cbir.ingest("digits", encoder=name, size=32, collection="larger", limit=50).trained
    if name == "pca":
        assert first.model.metadata["training"] == IDENTITIES[name]


#: The decision between eight bits and float takes time, and is tested elsewhere.
PHOTO = "photo:precision=int8"


def test_what_a_stream_teaches_is_stored_without_opening_a_picture_again(home: Path):
    source = Counting(40, colour=True)
    ingested(home, source, PHOTO)
    assert source.opened == Counter(range(40))


def test_pictures_that_were_not_drawn_are_encoded_afterwards(home: Path):
    kind, recipe = parse_encoder(PHOTO)
    source = Counting(40, colour=True)
    plan = Plan(replace(kind, most_images=10), recipe)
    report = run(source, "counting", EmbeddedEngine(home / "collections"), home / "models", plan)
    assert (report.ingested, report.model.metadata["images"]) == (40, 10)
    # All 40 are in the sample; those that were drawn are not opened again.
    assert Counter(source.opened.values()) == {1: 10, 2: 30}


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coloured")
    for number in range(12):
        drawn(number).resize((96, 64)).save(folder / f"{number:02}.png")
    return folder


@pytest.mark.parametrize("adapt", ["on", "off"])
def test_a_picture_finds_itself_by_what_was_learned_from_it(home: Path, coloured: Path, adapt: str):
    report = cbir.ingest(coloured, encoder=f"{PHOTO},adapt={adapt}")
    assert report.ingested == 12
    with cbir.open() as searcher:
        for path in sorted(coloured.iterdir()):
            (hit,) = searcher.search(path, k=1)
            assert Path(hit.payload["uri"]).name == path.name
            assert hit.distance < 1e-3


def test_a_file_that_is_replaced_after_it_was_learned_from_is_encoded_anew(home: Path, coloured: Path, tmp_path: Path):
    folder = shutil.copytree(coloured, tmp_path / "changing")

    def replacing(stage: str, *_: Any) -> None:
        if stage == "export":
            drawn(99).save(folder / "03.png")

    cbir.ingest(folder, encoder=PHOTO, progress=replacing)
    with cbir.open() as searcher:
        first, second = searcher.search(folder / "03.png", k=2)
        assert Path(first.payload["uri"]).name == "03.png"
        assert first.distance < 1e-3 < second.distance


def test_an_encoder_that_an_interrupted_ingest_left_is_found_again(tmp_path: Path):
    kind, recipe = parse_encoder(PHOTO)
    first, again = (train_bundle(tmp_path, "ours", Counting(20, colour=True), Plan(kind, recipe)) for _ in range(2))
    assert (first.trained, again.trained) == (True, False)
    assert again.bundle == first.bundle
    assert len(again.made) == len(first.made) == 20


def test_what_another_precision_made_is_not_stored_beside_an_encoder_that_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Which one is faster is decided by the clock, and may be decided otherwise the next time."""
    kind, recipe = parse_encoder("photo")
    for precision, made in (("int8", 20), ("float", 0)):
        monkeypatch.setattr(photo, "choose_precision", lambda block, _, now=precision: choose_precision(block, now))
        ready = train_bundle(tmp_path, "ours", Counting(20, colour=True), Plan(kind, recipe))
        assert ready.bundle.metadata["precision"] == "int8"
        assert len(ready.made) == made


def test_the_usual_encoder_is_said_and_why(home: Path, coloured: Path):
    report = cbir.ingest(coloured)
    assert (report.model.kind, report.usual_for) == ("photo", "pictures in colour")
    assert report.model.metadata["notes"][-1].startswith("not adapted to your pictures: there are 12")
    assert cbir.ingest(coloured, encoder="pixels", collection="named").usual_for == ""


def test_large_grey_pictures_are_photographs_too(tmp_path: Path):
    folder = tmp_path / "grey"
    folder.mkdir()
    for number in range(3):
        drawn(number).convert("L").resize((80, 60)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    ready = train_bundle(tmp_path / "models", "grey", FolderSource(folder), Plan(None, None))
    assert (ready.bundle.kind, ready.usual_for) == ("photo", "grey pictures")
    assert ready.bundle.metadata["images"] == len(ready.made) == 3


def test_a_folder_in_which_nothing_can_be_read_teaches_nothing(tmp_path: Path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "0.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="the only picture"):
        train_bundle(tmp_path / "models", "broken", FolderSource(folder), Plan(*parse_encoder("photo")))
    assert not list((tmp_path / "models").glob("*"))


def test_an_input_size_that_the_network_does_not_have_is_refused(home: Path, coloured: Path):
    with pytest.raises(ModelError, match="sees pictures at 224x224: leave out --size"):
        cbir.ingest(coloured, size=64)


def test_options_are_those_of_the_usual_encoder_whichever_it_is(home: Path, coloured: Path):
    report = cbir.ingest(coloured, options={"values": 64, "precision": "int8"}, limit=4)
    assert (report.model.kind, report.model.dimension) == ("photo", 64)
    with pytest.raises(OptionError, match=r"encoder 'photo' has no option 'batch[-_]size'"):
        cbir.ingest(coloured, options={"batch-size": 5}, collection="other")
