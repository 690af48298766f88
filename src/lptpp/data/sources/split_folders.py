"""Which folders of a collection are its splits: train/, Training/, seg_train/, ILSVRC2012_img_val/, …"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from lptpp.data.sources.walk import has_images, subfolders
from lptpp.data.split import split_in
from lptpp.utils.errors import UserError
from lptpp.utils.text import listed

ALONE = "*"  # the rest of the name of a folder that is called train and nothing else


class Candidate(NamedTuple):
    """A folder whose name has a word for a split."""

    path: Path
    split: str
    rest: str  # of its name, see `split_in`
    holds_folders: bool  # has subfolders, and no image directly


def find_splits(root: Path) -> dict[str, Path]:
    """Return the folder of each split below `root`; without any, all of `root` is the training split.

    A folder called train is the training split if it contains folders and no images, or if there is also a folder
    called test or val; a class may be called train. Synonyms of these names are in `lptpp.data.split`. Longer names
    (seg_train, seg_test) count if they differ only in the word for the split, or if they contain folders of train/.

    Raises:
        UserError: two folders for one split, splits but no training split, or folders that all contain the same
            subfolders, which are splits of unknown names or classes of the same structure.
    """
    folders = subfolders(root)
    chosen = _chosen([one for one in map(_candidate, folders) if one is not None])
    splits = {one.split: one.path for one in chosen}
    _refuse_twins(root, chosen)
    if chosen and "train" not in splits:
        found = listed((one.path for one in chosen), 5)
        raise UserError(f"{root} has {found} but no train: name the folder of training images train.")
    if not chosen:
        _refuse_unclear(root, folders)
    return splits or {"train": root}


def _candidate(path: Path) -> Candidate | None:
    found = split_in(path.name)
    return None if found is None else Candidate(path, *found, bool(subfolders(path)) and not has_images(path))


def _chosen(candidates: list[Candidate]) -> list[Candidate]:
    trains = [one for one in candidates if one.split == "train" and (one.holds_folders or _has_twin(one, candidates))]
    if not trains:
        return [one for one in candidates if one.rest == ALONE and one.holds_folders]
    chosen = [one for one in candidates if any(_belong_together(one, train) for train in trains)]
    return chosen if len(chosen) > 1 or trains[0].rest == ALONE else []


def _has_twin(one: Candidate, candidates: list[Candidate]) -> bool:
    return any(other.rest == one.rest and other.split != one.split for other in candidates)


def _belong_together(one: Candidate, train: Candidate) -> bool:
    if one == train or one.rest in (ALONE, train.rest):
        return True
    return one.holds_folders and ALONE in (one.rest, train.rest) and bool(_names(one.path) & _names(train.path))


def _refuse_twins(root: Path, chosen: list[Candidate]) -> None:
    """Raise `UserError` if two folders are the same split."""
    split, number = Counter(one.split for one in chosen).most_common(1)[0] if chosen else ("", 0)
    if number > 1:
        twins = listed((one.path for one in chosen if one.split == split), 5)
        raise UserError(
            f"{root} has {number} folders for the {split} split ({twins}): keep one, or rename the others; train, val"
            " and test are understood."
        )


def _refuse_unclear(root: Path, folders: list[Path]) -> None:
    """Raise `UserError` if every folder contains subfolders of the same names and no images."""
    if len(folders) < 2 or any(has_images(folder) for folder in folders):
        return
    names = [_names(folder) for folder in folders]
    common = sorted(set.intersection(*names))
    if len(common) > 1 and all(2 * len(common) >= len(each) for each in names):
        whole, parts = listed((one.name for one in folders), 3), listed(common, 3)
        raise UserError(
            f"{root}: the folders {whole} all contain the subfolders {parts}. If {whole} are splits, call them train,"
            " val and test; if they are folds, cameras or the like, put the images of each class into one folder; if"
            " they are the classes, set data.split_folders=none."
        )


def _names(folder: Path) -> set[str]:
    return {path.name for path in subfolders(folder)}
