"""Names of images: ImageNet's class names and synonyms, their hypernyms in WordNet, and names of emoji."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from timm.data import ImageNetInfo

_INFO = ImageNetInfo()
IMAGENET: list[str] = _INFO.label_names()  # the 1,000 synsets, in class order
LARGEST_GROUP = 400  # classes below a node: excludes uninformative names such as "entity"


@dataclass(frozen=True)
class Names:
    """All names of images, and the WordNet nodes that they name.

    The first 1,000 nodes are the classes of ImageNet-1k; the others are ancestors of at least two of them.
    """

    strings: list[str]
    names: list[list[int]]  # of each node: indices of its names in `strings`
    members: list[list[int]]  # of each node: indices of its classes
    emoji: list[list[int]]  # of each emoji: indices of its names

    def write(self, path: Path) -> None:
        """Write JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Names":
        """Read a file written by `write`."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def collect_names(wordnet: Path, emoji_entries: Sequence[dict]) -> Names:
    """Return all names, from `data.noun` of WordNet 3.0 (whose offsets ImageNet uses) and the list of emoji."""
    nouns = read_nouns(wordnet)
    members = _members(nouns)
    strings: dict[str, int] = {}
    nodes = [*(synset[1:] for synset in IMAGENET), *members]
    names = [_places(nouns[node].words, strings) for node in nodes]
    below = [*([place] for place in range(len(IMAGENET))), *members.values()]
    emoji = [_places(_emoji_names(entry), strings) for entry in emoji_entries]
    return Names(list(strings), names, below, emoji)


@dataclass(frozen=True)
class Noun:
    """One synset of WordNet."""

    words: list[str]
    above: list[str]  # offsets of its hypernyms


def read_nouns(path: Path) -> dict[str, Noun]:
    """Return the synsets of a `data.noun` file by offset (wndb(5WN) describes the format)."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(_noun(line.split()) for line in lines if not line.startswith("  "))


def _noun(fields: list[str]) -> tuple[str, Noun]:
    count = int(fields[3], 16)
    words = [fields[4 + 2 * i].replace("_", " ") for i in range(count)]
    rest = fields[4 + 2 * count :]
    pointers = [rest[1 + 4 * i : 5 + 4 * i] for i in range(int(rest[0]))]
    return fields[0], Noun(words, [offset for symbol, offset, *_ in pointers if symbol in ("@", "@i")])


def _members(nouns: dict[str, Noun]) -> dict[str, list[int]]:
    """Return the classes below each node with at least two and at most `LARGEST_GROUP` of them."""
    found: dict[str, list[int]] = {}
    for place, synset in enumerate(IMAGENET):
        for node in _all_above(synset[1:], nouns):
            found.setdefault(node, []).append(place)
    classes = {synset[1:] for synset in IMAGENET}
    return {k: v for k, v in sorted(found.items()) if 2 <= len(v) <= LARGEST_GROUP and k not in classes}


def _all_above(node: str, nouns: dict[str, Noun]) -> set[str]:
    return set().union(*({above} | _all_above(above, nouns) for above in nouns[node].above))


def _emoji_names(entry: dict) -> list[str]:
    names = [entry["name"].lower(), *(name.replace("_", " ").replace("-", " ") for name in entry["short_names"])]
    return list(dict.fromkeys(names))


def _places(names: Sequence[str], strings: dict[str, int]) -> list[int]:
    return [strings.setdefault(name, len(strings)) for name in names]


class RandomCut:
    """Random names of the 1,000 classes: each class gets its own name or the name of an ancestor.

    Replacing all classes below a few random WordNet nodes by the node's name partitions the classes. A text tower
    trained on many such partitions learns "bird" and "apple", not only "goldfinch" and "Granny Smith".
    """

    def __init__(self, names: Names) -> None:
        self.names = OneName(names.names)
        above = range(len(IMAGENET), len(names.members))
        self.above = sorted(above, key=lambda node: len(names.members[node]))  # larger nodes override smaller ones
        self.members = [np.array(names.members[node]) for node in self.above]

    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the names in use, as indices (G,) into `strings`, and the index among them of each class (1000,)."""
        node = np.arange(len(IMAGENET))
        share = generator.uniform(0, 0.2)
        for place in np.flatnonzero(generator.random(len(self.above)) < share):
            node[self.members[place]] = self.above[place]
        return np.unique(self.names.draw(generator)[node], return_inverse=True)


class OneName:
    """One random name for each of n items with several names."""

    def __init__(self, names: Sequence[Sequence[int]]) -> None:
        self.counts = np.array([len(one) for one in names])  # (n,)
        self.names = np.zeros((len(names), self.counts.max()), dtype=np.int64)
        for row, one in zip(self.names, names, strict=True):
            row[: len(one)] = one

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """Return a name for each item, as indices (n,) into `strings`."""
        place = (generator.random(len(self.counts)) * self.counts).astype(np.int64)
        return self.names[np.arange(len(place)), place]


def imagenet_names() -> list[str]:
    """Return the first name of each class of ImageNet-1k."""
    return [_INFO.index_to_description(place).split(",")[0] for place in range(len(IMAGENET))]
