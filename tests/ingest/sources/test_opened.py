"""A picture is opened by what a result calls it: a path, an address, a place in an archive or in a dataset."""

from pathlib import Path

import numpy as np
import pytest

from cbir.ingest.sources.catalogue import picture_opener
from cbir.ingest.sources.digits import digits
from cbir.model.errors import ImageError
from tests.conftest import picture


def test_pictures_of_a_dataset_are_opened_by_their_uris_and_files_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    opened, source = picture_opener(), digits()
    for item in (next(iter(source.items())), source.queries()[1]):
        assert np.array_equal(opened(item.uri), item.open())
    Path("digits:queries").mkdir()
    picture(3).save(item.uri, "png")
    assert opened(item.uri).tobytes() == picture(3).tobytes()


def test_an_address_in_a_private_network_is_refused():
    with pytest.raises(ImageError, match="private network"):
        picture_opener()("http://127.0.0.1:9/1.png")
