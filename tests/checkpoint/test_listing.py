"""The rows of a listing that the images of a run take, against a literal search."""

import random

import numpy as np
import pytest

from lptpp.checkpoint.images import match
from lptpp.checkpoint.listing import Listing, Rows, _places, _searched, make_record
from lptpp.checkpoint.record import ImageRecord, packed
from lptpp.data.content import stamp
from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.files import Files
from lptpp.data.names import Names
from lptpp.data.split import draw_split
from lptpp.utils.errors import UserError

Item = tuple[str, int]  # name and label


def literal(listing: list[Item], parts: list[list[Item]]) -> list[list[int]] | None:
    """Return for each image the first row of its name and label that no earlier one took; None if there is none."""
    free, found = list(listing), []
    for part in parts:
        found.append([])
        for item in part:
            if item not in free:
                return None
            found[-1].append(free.index(item))
            free[found[-1][-1]] = ("taken", 0)
    return found


def listing_of(items: list[Item]) -> Listing:
    names, labels = [name for name, _ in items], np.array([label for _, label in items], np.int32)
    return Listing(names, [], labels, np.zeros(len(items), np.uint8), [], labels)


@pytest.mark.parametrize("seed", range(20))
def test_a_list_of_files_is_listed_and_recorded_as_a_list_of_paths(seed):
    draw = np.random.default_rng(seed)
    paths = Files.of([f"/photos/{name}.png" for name in draw.choice(["a", "b", "b/2", "b-2", "B"], 40)], "/photos/")
    labels, cut = draw.integers(0, 3, 40), int(draw.integers(1, 40))
    found = []
    for images in (paths, list(paths)):
        parts = [Split(images[:cut], labels[:cut]), Split(images[cut:], labels[cut:])]
        whole = ImageDataset(list("xyz"), parts[0], None, parts[1])
        listing = Listing.of(whole, list("xyz"), "/photos")
        drawn = draw_split(whole, "validation", 0.3, seed)
        record, stamps = make_record(listing, drawn, "/photos") if seed % 2 else make_record(listing, whole, "/photos")
        matched = match(record, listing)
        found.append((listing, record, stamps, matched))
        assert isinstance(listing.names, Names) == (images is paths)
    (fast, *results), (slow, *expected) = found
    assert list(fast.names) == slow.names and list(fast.images) == slow.images
    for one, other in zip([fast, *results], [slow, *expected], strict=True):
        for key in ("labels", "splits", "own_labels", "text", "lengths", "places", "record", "listing", "missing"):
            assert np.array_equal(getattr(one, key, 0), getattr(other, key, 0))


@pytest.mark.parametrize("seed", range(10))
def test_the_rows_of_a_source_are_found_by_place_as_by_name(seed, tmp_path):
    draw = np.random.default_rng(seed)
    names = list(map(str, draw.choice(9, 40)))  # several rows of each
    for name in set(names) - {"3"}:
        (tmp_path / name).write_text(name * draw.integers(1, 9))
    paths, labels = Files.of([f"{tmp_path}/{name}" for name in names], f"{tmp_path}/"), draw.integers(0, 3, 40)
    test = Split(Files(paths.base, paths.text, paths.ends), labels) if seed % 2 else None  # the same list again
    whole = ImageDataset(list("xyz"), Split(paths, labels), None, test)
    collection = draw_split(whole, "validation", 0.3, seed)
    listing = Listing.of(whole, list("xyz"), str(tmp_path))
    found, searched = _places(listing, collection), _searched(listing, collection, str(tmp_path))
    for split, rows, others in zip(collection.splits().values(), found, searched, strict=True):
        assert [listing.names[row] for row in rows] == [path.name for path in split.images]
        assert listing.labels[rows].tolist() == listing.labels[others].tolist() == split.labels.tolist()
        assert listing.stamps(rows).tolist() == [list(stamp(path)) for path in split.images]
    taken = np.concatenate(found)
    assert len(set(taken.tolist())) == len(taken)


def test_rows_are_searched_by_name_where_places_do_not_tell_them(tmp_path):
    paths = Files.of([f"{tmp_path}/{name}" for name in "abcd"], f"{tmp_path}/")
    listed = ImageDataset(["x", "y"], Split(paths, np.array([0, 1, 0, 1])), None, None)
    listing = Listing.of(listed, ["x", "y"], str(tmp_path))
    others = [
        Split(paths, np.array([0, 1, 1, 0])),  # other labels
        Split(paths.take(np.array([0, 0, 2, 3])), np.array([0, 0, 0, 1])),  # an image twice
        Split(Files.of([f"{tmp_path}/{name}" for name in "abce"], f"{tmp_path}/"), listed.train.labels),
        Split(list(paths), listed.train.labels),
    ]
    for split in others:
        assert _places(listing, ImageDataset(["x", "y"], split, None, None)) is None
    assert _places(listing, listed)[0].tolist() == [0, 1, 2, 3]


def test_names_that_a_listing_of_files_lacks_are_refused():
    names = Names(np.array(["a", "b"], np.bytes_))
    listing = Listing(names, [], np.array([0, 1], np.int32), np.zeros(2, np.uint8), [], np.array([0, 1]))
    for given, labels in ((["a"], [1]), (["bb"], [1]), (["b", "b"], [1, 1])):
        for wanted in (given, Names(np.array(given, np.bytes_))):
            with pytest.raises(UserError, match=f"{given[-1]} was added or changed"):
                Rows(listing).take(wanted, np.array(labels))
    assert Rows(listing).take(["b", "a"], np.array([1, 0])).tolist() == [1, 0]


def test_rows_of_a_listing_and_of_a_record_are_paired_by_name():
    for known, there in ((["a", "b", "c"], ["b", "c", "c", "d"]), (["b"], []), (["a", "a"], ["a"])):
        n = len(known)
        record = ImageRecord(*packed(known), *np.zeros((4, n), int), np.zeros((n, 16)))  # type: ignore[call-arg]
        found = [match(record, listing_of([(name, 0) for name in there]))]
        names = Names(np.array(there, np.bytes_)) if there else there
        found.append(match(record, Listing(names, [], np.zeros(len(there)), np.zeros(len(there)), [], np.zeros(1))))
        for one in found:
            assert [known[i] for i in one.record] == [there[j] for j in one.listing]
            assert sorted([*one.missing, *(known[i] for i in one.record)]) == known
            assert sorted([*one.added, *(there[j] for j in one.listing)]) == there


@pytest.mark.parametrize("seed", range(100))
def test_each_image_takes_the_first_free_row(seed):
    draw = random.Random(seed)
    items = sorted((draw.choice("abc"), draw.choice([-1, 0, 1, 2])) for _ in range(draw.randint(1, 12)))
    drawn = draw.sample(items, draw.randint(0, len(items))) + [("a", 1)] * (seed % 5 == 0)
    cut = draw.randint(0, len(drawn))
    parts = [drawn[:cut], drawn[cut:]]
    rows = Rows(listing_of(items))

    def found() -> list[list[int]]:
        columns = [([name for name, _ in part], np.array([label for _, label in part], np.int64)) for part in parts]
        return [rows.take(*pair).tolist() for pair in columns]

    expected = literal(items, parts)
    if expected is None:
        with pytest.raises(UserError, match="a was added or changed"):
            found()
    else:
        assert found() == expected
