"""What was not listed is gone only where that can be told."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import cbir
from cbir.collection.metadata import Metadata
from cbir.collection.place import Place
from cbir.ingest.gone import Gone
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.several import SeveralSources
from cbir.ingest.sources.source import Item, Source
from cbir.model import formats
from tests.collection.sample import METADATA
from tests.conftest import picture
from tests.ingest.sources.test_archive import png, tarred


class Listed(Source):
    """A source of which some folders could not be listed."""

    name = "photos"
    roots = {"photos": "/photos"}  # noqa: RUF012
    unlisted: Sequence[tuple[str, str]] = ()

    def __init__(self, *folders: str):
        self.unlisted = [("photos", folder) for folder in folders]

    def __len__(self) -> int:
        return 1


def gone(unlisted: list[str], uri: str) -> bool:
    metadata = Metadata("f", 1, "m", ("photos",), (1, 1, 1), "0", "", "", roots={"photos": "/photos"})
    source = Listed(*unlisted)
    return Gone(source, metadata, complete=True).is_gone(Place("photos", uri))


@pytest.mark.parametrize(
    ("unlisted", "uri", "is_gone"),
    [
        ([], "a/1.png", True),
        (["a"], "a/1.png", False),
        (["a"], "ab/1.png", True),
        (["a/b"], "a/1.png", True),
        ([""], "a/1.png", False),
        (["./a:b"], "./a:b/1.png", False),
        (["100%"], "%:100%25/%FF.png", False),  # its folder's name is valid text, its own is not
        (["%:caf%E9"], "%:caf%E9/1.png", False),
        (["a.tar"], "a.tar/b/1.png", False),
    ],
)
def test_what_is_below_a_folder_that_could_not_be_listed_is_not_gone(unlisted: list[str], uri: str, is_gone: bool):
    assert gone(unlisted, uri) == is_gone


def test_what_is_stored_by_its_whole_path_is_not_gone_below_a_folder_that_could_not_be_listed():
    source = Listed()
    source.name, source.unlisted = "/photos", [("/photos", "a")]
    answers = Gone(source, replace(METADATA, sources=("/photos",), roots={}), complete=True)
    found = [answers.is_unclear("/photos", f"/photos/{uri}") for uri in ("a/1.png", "ab/1.png", "b/a/1.png")]
    assert found == [True, False, False]


def test_what_one_of_several_could_not_list_is_not_gone(pictures: Path):
    several = SeveralSources([Listed("a"), FolderSource(pictures)])
    answers = Gone(several, replace(METADATA, roots=several.roots), complete=True)
    found = [answers.is_gone(Place("photos", uri)) for uri in ("a/1.png", "b/1.png")]
    assert found == [False, True]
    assert answers.is_gone(Place("pictures", "a/1.png"))


def test_what_is_below_another_root_is_gone_where_its_folder_tells(tmp_path: Path):
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "empty").mkdir()
    tarred(root / "a.tar", [("1.png", png())])
    os.mkfifo(root / "pipe")
    (root / "there.png").write_bytes(png())
    (root / "dangling.png").symlink_to("nowhere")
    roots = {"photos": "/photos", "root": str(root), "empty": str(root / "empty"), "away": str(tmp_path / "away")}
    answers = Gone(Listed(), replace(METADATA, roots=roots), complete=True)
    gone = {
        Place(source, uri): answers.is_gone(Place(source, uri))
        for source, uri in [
            *(("root", uri) for uri in ("there.png", "gone.png", "folder/gone.png", "gone/1.png", "dangling.png")),
            *(("root", uri) for uri in ("a.tar/gone.png", "pipe/1.png", "x" * 300 + ".png")),
            *(("empty", "1.png"), ("away", "1.png"), ("unknown", "1.png")),
        ]
    }
    assert [place.uri for place, is_gone in gone.items() if is_gone] == [
        "gone.png",
        "folder/gone.png",
        "gone/1.png",
        "pipe/1.png",
    ]


def test_of_an_archive_that_is_there_what_is_left_out_is_not_missing(tmp_path: Path):
    tarred(tmp_path / "a.tar", [("1.png", png())])
    answers = Gone(
        FolderSource(filled(tmp_path, range(1)), Choice(exclude=("draft*",))).renamed({tmp_path.name: "c"}),
        replace(METADATA, roots={"c": str(tmp_path)}),
        complete=True,
    )
    left_out = [answers.is_left_out("c", uri) for uri in ("0.png", "a.tar/draft.png", "a.tar/2.png", "draft.png")]
    assert left_out == [True, True, False, False]


def test_what_a_list_had_outside_of_all_folders_is_found_under_its_folder():
    roots = {"files": "/", "photos": "/photos"}
    inside = Item("1.png", None, "photos", lambda: picture(), location="/photos/1.png")
    listed = Item("else/1.png", None, "files", lambda: picture(), location="/else/1.png")
    nowhere = Item("1.png", None, "photos", lambda: picture())
    answers = Gone(Listed(), replace(METADATA, roots=roots), complete=True)
    assert answers.places_of(inside) == [("photos", "1.png"), ("files", "photos/1.png")]
    assert answers.places_of(listed) == [("files", "else/1.png")]
    assert answers.places_of(nowhere) == [("photos", "1.png")]
    assert Gone(Listed(), METADATA, complete=True).places_of(inside) == [("photos", "1.png")]


def test_pictures_are_not_gone_because_what_reads_them_is(home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (64, 64), "red")).save(pictures / "b" / "1.heic")
    picture(9).save(pictures / "b" / "gone.png")
    assert cbir.ingest(pictures, encoder="pixels").points == 8
    (pictures / "b" / "gone.png").unlink()
    monkeypatch.setattr(formats, "_installed", lambda library: False)
    report = cbir.ingest(pictures, prune=True)
    assert (report.points, report.pruned, report.gone, report.skipped) == (7, 1, 0, 0)
    assert [left.hint for left in report.left_out] == ["to read them: pip install '.[heic]' in cbir's folder"]


def test_a_folder_that_is_empty_now_is_pruned_by_force_alone(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    shutil.rmtree(pictures)
    pictures.mkdir()
    with pytest.raises(cbir.CbirError, match="holds no pictures"):
        cbir.ingest(pictures)
    with pytest.warns(cbir.CbirWarning, match=r"nothing of .* was pruned: it holds no pictures at all.*--force"):
        report = cbir.ingest(pictures, prune=True)
    assert (report.points, report.gone, report.pruned) == (6, 6, 0)
    report = cbir.ingest(pictures, prune=True, force=True)
    assert (report.points, report.gone, report.pruned) == (0, 0, 6)
    with pytest.raises(cbir.CbirError, match="holds no pictures"):
        cbir.ingest(pictures, prune=True, collection="new", encoder="pixels")


def filled(folder: Path, numbers: range) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        picture(number).save(folder / f"{number}.png")
    return folder


def test_one_of_several_folders_that_is_empty_now_is_pruned_by_force_alone(home: Path, tmp_path: Path):
    disk, photos = filled(tmp_path / "disk", range(4)), filled(tmp_path / "photos", range(10, 14))
    cbir.ingest([disk, photos], collection="c", encoder="pixels")
    disk.rename(tmp_path / "away")
    disk.mkdir()
    picture(0).save(photos / "copy.png")
    with pytest.warns(cbir.CbirWarning, match=r"nothing of .*disk was pruned: it holds no pictures at all"):
        report = cbir.ingest([disk, photos], collection="c", prune=True)
    assert (report.points, report.copies, report.moved, report.gone, report.pruned) == (8, 1, 0, 4, 0)
    assert cbir.ingest([disk, photos], collection="c", prune=True, force=True).pruned == 4


def test_a_picture_does_not_move_from_a_folder_where_no_disk_is_mounted(home: Path, tmp_path: Path):
    disk = filled(tmp_path / "disk", range(4))
    cbir.ingest(disk, collection="c", encoder="pixels")
    disk.rename(tmp_path / "away")
    disk.mkdir()
    report = cbir.ingest(filled(tmp_path / "photos", range(4)), collection="c")
    assert (report.points, report.copies, report.moved) == (4, 4, 0)


def test_what_is_stored_of_archives_in_a_folder_is_not_gone_because_they_are_left_out(home: Path, tmp_path: Path):
    photos = filled(tmp_path / "photos", range(8))
    shards = [tarred(photos / f"{n}.tar", [(f"{20 + n + m}.png", png(20 + n + m)) for m in (0, 1)]) for n in (0, 2)]
    cbir.ingest(photos, collection="c", encoder="pixels")
    assert cbir.ingest(shards, collection="c").points == 12
    report = cbir.ingest(photos, collection="c", prune=True)
    assert (report.points, report.gone, report.pruned) == (12, 0, 0)


def test_what_is_behind_a_link_that_leads_nowhere_is_not_gone(home: Path, tmp_path: Path):
    disk, photos = filled(tmp_path / "disk", range(4)), filled(tmp_path / "photos", range(10, 18))
    (photos / "disk").symlink_to(disk)
    assert cbir.ingest(photos, encoder="pixels", follow=True).points == 12
    disk.rename(tmp_path / "away")
    assert cbir.ingest(photos, follow=True, prune=True).pruned == 0
    (photos / "disk").unlink()
    assert cbir.ingest(photos, follow=True, prune=True).pruned == 4
