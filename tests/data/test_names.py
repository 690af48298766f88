"""Names in an array of strings, against lists of Python strings."""

import numpy as np
import pytest

from lptpp.checkpoint.record import packed
from lptpp.data.content import image_names
from lptpp.data.files import Files
from lptpp.data.names import Names, hashes

TEXTS = ["b/2.png", "a", "a b", "b/2.png", "12345678", "123456789", *(f"n{i % 30:04}/{i}.jpg" for i in range(3000))]


def test_names_are_a_sequence_of_strings():
    names = Names(np.array(TEXTS, np.bytes_))
    assert list(names) == TEXTS and len(names) == len(TEXTS)
    assert (names[2], names[-1], list(names[1:4])) == (TEXTS[2], TEXTS[-1], TEXTS[1:4])


def test_names_are_packed_as_a_list_is():
    for ours, expected in zip(packed(Names(np.array(TEXTS, np.bytes_))), packed(TEXTS), strict=True):
        assert ours.dtype == expected.dtype and ours.tolist() == expected.tolist()


@pytest.mark.parametrize("width", [14, 16, 40])
def test_hashes_depend_on_the_names_alone(width):
    found = hashes(TEXTS)
    assert (hashes(Names(np.array(TEXTS, f"S{width}"))) == found).all()
    assert (hashes(TEXTS[:10]) == found[:10]).all()
    assert len(set(found.tolist())) == len(set(TEXTS))


def test_names_of_every_kind_have_hashes():
    texts = ["", "a", "a\0", "é", "\udcff", "\udcfe", "e\u0301", "l" * 5000]
    assert len(set(hashes(texts).tolist())) == len(texts)
    assert hashes([]).shape == (0,)


@pytest.mark.parametrize("names, fast", [(TEXTS, True), ([*TEXTS, "é.png"], False), (["a", "l" * 99] * 9, True),
                                         ([*"abcdefghij", "l" * 99], False)])  # fmt: skip
def test_names_of_files_are_those_of_their_paths(names, fast):
    paths = Files.of([f"/photos/{name}" for name in names], "/photos/")
    found = image_names(paths, "/photos")
    assert isinstance(found, Names) == fast
    assert list(found) == image_names(list(paths), "/photos")
