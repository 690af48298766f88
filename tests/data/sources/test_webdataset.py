import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from PIL import Image

from lptpp.data.check import check_images
from lptpp.data.dataset import ImageDataset
from lptpp.data.decode import decode
from lptpp.data.sources import webdataset as shards
from lptpp.utils.errors import UserError
from tests.drawn import pixels, png


def tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def read(root: Path, train_list: str = "a.tar", **changes: Any) -> ImageDataset:
    nothing = dict.fromkeys(["validation_list", "test_list", "image_column", "label_column", "class_names"])
    return shards.webdataset(
        root=str(root), train_list=train_list, **nothing | {"test": 0.0, "split_seed": 0} | changes
    )


def refused(root: Path, train_list: str = "a.tar", **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        read(root, train_list, **changes)
    return str(error.value)


def labels(whole: ImageDataset) -> list[str]:
    return [whole.class_names[label] for label in whole.train.labels]


def samples(*names: str) -> dict[str, bytes]:
    return {
        f"{i}.{kind}": png(i) if kind == "png" else text.encode()
        for i, text in enumerate(names)
        for kind in ("png", "txt")
    }


def test_shards_that_the_library_wrote_give_what_the_library_reads(tmp_path: Path) -> None:
    with webdataset.ShardWriter(str(tmp_path / "part-%03d.tar"), maxcount=4, verbose=0) as writer:
        for i in range(10):
            sample = {"__key__": f"deep.er/{i:04d}", "png": Image.fromarray(pixels(i)), "cls": i % 3, "json": {"id": i}}
            writer.write(sample)
    pattern = str(tmp_path / "part-{000..002}.tar")
    theirs = list(webdataset.WebDataset(pattern, shardshuffle=False).decode("rgb8").to_tuple("png", "cls"))
    ours = read(tmp_path, "part-{000..002}.tar")
    assert labels(ours) == [str(label) for _, label in theirs]
    for image, (picture, _) in zip(ours.train.images, theirs, strict=True):
        assert np.array_equal(np.asarray(decode(image)), picture)


def test_a_member_is_read_by_offset_and_named_with_its_shard(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", samples("oak", "elm", "oak"))
    whole = read(tmp_path)
    assert labels(whole) == ["oak", "elm", "oak"]
    assert whole.train.name(1) == f"{path}:1.png"
    assert [image.read_bytes() for image in whole.train.images] == [png(i) for i in range(3)]  # type: ignore[union-attr]


def test_an_unreadable_image_has_the_name_of_its_member(tmp_path: Path) -> None:
    path = tar(
        tmp_path / "a.tar", samples("oak", "elm") | {"x.png": b"no", "x.txt": b"oak", "y.jpg": b"", "y.txt": b"elm"}
    )
    _, faults = check_images({"train": read(tmp_path).train}, "skip")
    assert faults == [
        (f"{path}:x.png", "cannot be read: not in a supported image format"),
        (f"{path}:y.jpg", "cannot be read: the file is empty"),
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a-{0..2}.tar", ["oak", "elm", "ash"]),
        ("a-{2,0}.tar", ["ash", "oak"]),
        ("a-*.tar", ["oak", "elm", "ash"]),
        ("a-1.tar::a-0.tar", ["elm", "oak"]),
        ("a-[12].tar", ["elm", "ash"]),
    ],
)
def test_patterns_of_shards(tmp_path: Path, pattern: str, found: list[str]) -> None:
    for i, name in enumerate(["oak", "elm", "ash"]):
        tar(tmp_path / f"a-{i}.tar", {"0.png": png(i), "0.txt": name.encode()})
    assert labels(read(tmp_path, pattern)) == found
    assert labels(read(Path("nowhere"), str(tmp_path / pattern).replace("::", f"::{tmp_path}/"))) == found


@pytest.mark.parametrize("pattern", ["a-{0..1}.tar", "none-*.tar", "http://host/a.tar", "pipe:cat a.tar", "${x}.tar"])
def test_missing_shards_are_refused(tmp_path: Path, pattern: str) -> None:
    tar(tmp_path / "a-0.tar", samples("oak"))
    message = refused(tmp_path, pattern)
    assert message.startswith(pattern.replace("{0..1}", "1"))


def test_shards_of_each_split(tmp_path: Path) -> None:
    for part, names in {"train": ["oak", "elm"], "val": ["elm"], "test": ["oak", "ash", "ash"]}.items():
        tar(tmp_path / f"{part}.tar", samples(*names))
    whole = read(tmp_path, "train.tar", validation_list="val.tar", test_list="test.tar")
    assert whole.class_names == ["ash", "elm", "oak"]
    assert {part: split.labels.tolist() for part, split in whole.splits().items()} == {
        "train": [2, 1],
        "validation": [1],
        "test": [2, 0, 0],
    }


def test_members_of_a_sample_need_not_be_adjacent_and_others_are_ignored(tmp_path: Path) -> None:
    members = {"./one.JPG": png(0), "two.png": png(1), ".hidden.txt": b"x", "d/._two.png": b"x", "README": b"x"}
    members |= {"two.TXT": b" elm \n", "./one.txt": b"oak"}
    path = tar(tmp_path / "a.tar", members)
    with tarfile.open(path, "a") as archive:
        folder, link = tarfile.TarInfo("folder.png"), tarfile.TarInfo("link.png")
        folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "two.png"
        archive.addfile(folder)
        archive.addfile(link)
    whole = read(tmp_path)
    assert labels(whole) == ["oak", "elm"]
    assert [image.read_bytes() for image in whole.train.images] == [png(0), png(1)]  # type: ignore[union-attr]


def test_long_and_odd_names(tmp_path: Path) -> None:
    names = ["d" * 90 + "/" + "n" * 150, '<b>, "q" \'é', "dir.v1/x"]
    members = {
        f"{n}.{kind}": png(i) if kind == "png" else b"%d" % i for i, n in enumerate(names) for kind in ("png", "cls")
    }
    path = tar(tmp_path / "a.tar", members)
    whole = read(tmp_path)
    assert [whole.train.name(i) for i in range(3)] == [f"{path}:{name}.png" for name in names]
    assert [image.read_bytes() for image in whole.train.images] == [png(i) for i in range(3)]  # type: ignore[union-attr]


def test_several_dots(tmp_path: Path) -> None:
    members = {"a.png": png(0), "a.seg.png": png(9), "a.txt": b"oak", "b.left.png": png(1), "b.kind.txt": b"elm"}
    tar(tmp_path / "a.tar", members)
    whole = read(tmp_path)
    assert labels(whole) == ["oak", "elm"]
    assert [image.read_bytes() for image in whole.train.images] == [png(0), png(1)]  # type: ignore[union-attr]
    path = tar(tmp_path / "a.tar", {"2024.01.png": png(0), "2024.02.png": png(1), "2024.01.txt": b"oak"})
    message = refused(tmp_path)
    assert message.startswith(f"{path}:2024 has the members 01.png, 02.png, 01.txt, ")
    assert "data.image_column" in message


def test_members_chosen_in_the_settings(tmp_path: Path) -> None:
    members = {f"{i}.{kind}": content for i in range(2) for kind, content in {
        "left.png": png(i), "right.png": png(i + 5), "txt": b"a caption", "genus.txt": [b"oak", b"elm"][i],
    }.items()}  # fmt: skip
    tar(tmp_path / "a.tar", members)
    whole = read(tmp_path, image_column="right.png", label_column="genus.txt")
    assert labels(whole) == ["oak", "elm"]
    assert whole.train.images[0].read_bytes() == png(5)  # type: ignore[union-attr]
    members_of_0 = "0 has the members left.png, right.png, txt, genus.txt, "
    assert f"{members_of_0}expected one up.png" in refused(tmp_path, image_column="up.png")
    assert f"{members_of_0}expected a label as species" in refused(
        tmp_path, image_column="left.png", label_column="species"
    )


@pytest.mark.parametrize(
    ("contents", "column", "names"),
    [
        ([{"label": 10}, {"label": 9}], None, ["9", "10"]),
        ([{"label": "oak"}, {"label": "elm"}], None, ["elm", "oak"]),
        ([{"label": 1, "species": "oak"}, {"label": 1, "species": "elm"}], "species", ["elm", "oak"]),
        (["oak", "elm"], None, ["elm", "oak"]),
        ([3.0, 4], None, ["3", "4"]),
    ],
)
def test_labels_in_json(tmp_path: Path, contents: list[Any], column: str | None, names: list[str]) -> None:
    members = {f"{i}.png": png(i) for i in range(2)} | {
        f"{i}.json": json.dumps(c).encode() for i, c in enumerate(contents)
    }
    tar(tmp_path / "a.tar", members)
    assert read(tmp_path, label_column=column).class_names == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"lable": 1}', "0.json has no key 'label': did you mean lable?"),
        (b'{"label": null}', "0.png has no label"),
        (b'{"label": [1, 2]}', "0.png has the label [1, 2]"),
        (b"{", "0.json cannot be read as a label"),
        (b"\xff\xfe", "0.json cannot be read as a label"),
    ],
)
def test_bad_labels_in_json(tmp_path: Path, content: bytes, message: str) -> None:
    path = tar(tmp_path / "a.tar", {"0.png": png(0), "0.json": content})
    assert f"{path}:{message}" in refused(tmp_path)


def test_cls_precedes_txt_and_indexes_the_class_names(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", {"0.png": png(0), "0.txt": b"a photo", "0.cls": b"1\n", "1.png": png(1), "1.cls": b"0"})
    (tmp_path / "names.txt").write_text("1\noak\n")  # a number is an index, although "1" is a name
    assert labels(read(tmp_path, class_names="names.txt")) == ["oak", "1"]


@pytest.mark.parametrize("kind", ["pyd", "pth", "pickle"])
def test_pickles_are_not_read(tmp_path: Path, kind: str) -> None:
    path = tar(tmp_path / "a.tar", {"0.png": png(0), f"0.{kind}": b"x"})
    message = refused(tmp_path)
    assert message.startswith(f"{path}:0 has the members png, {kind}, expected a label as cls, txt or json; {kind} ")
    assert f"{path}:0.{kind} is a pickle" in refused(tmp_path, label_column=kind)
    tar(path, {"0.png": png(0), f"0.{kind}": b"x", "0.cls": b"0", "1.png": png(1), "1.cls": b"1"})
    assert len(read(tmp_path).train) == 2


def test_incomplete_samples(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", samples("oak") | {"x.png": png(1)})
    assert refused(tmp_path).startswith(f"{path}:x has only the member png, expected a label")
    tar(path, samples("oak") | {"x.txt": b"elm"})
    assert refused(tmp_path).startswith(f"{path}:x has only the member txt, expected one jpg")
    tar(path, samples("oak") | {"x.png": png(1), "x.jpg": png(2), "x.cls": b"0"})
    assert refused(tmp_path).startswith(f"{path}:x has the members png, jpg, cls, expected one")
    tar(path, samples("oak") | {"x.png": png(1), "x.txt": b" "})
    assert refused(tmp_path).startswith(f"{path}:x.png has no label")
    tar(path, {})
    assert refused(tmp_path).startswith(f"{path} contains no sample")


def test_a_duplicate_member(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", samples("oak"))
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("0.PNG"))
    assert refused(tmp_path).startswith(f"{path} contains 0.PNG twice")


def test_compressed_and_damaged_shards(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", samples("oak"), "w:gz")
    assert f"{path} is not an uncompressed tar file" in refused(tmp_path)
    assert "gunzip" in refused(tmp_path)
    path.write_text("text")
    assert f"{path} is not an uncompressed tar file" in refused(tmp_path)
    tar(path, samples("oak", "elm"))
    path.write_bytes(path.read_bytes()[:900])
    assert f"{path} is not an uncompressed tar file" in refused(tmp_path)


def test_labels_that_ask_for_much(tmp_path: Path) -> None:
    """A label of megabytes is not read, and brackets by the thousand are one sentence."""
    tar(tmp_path / "a.tar", {"1.png": png(0), "1.txt": bytes(2_000_000)})
    assert "has 2,000,000 bytes, too many for a label" in refused(tmp_path)
    tar(tmp_path / "a.tar", {"1.png": png(0), "1.json": b"[" * 200_000})
    assert "cannot be read as a label" in refused(tmp_path)
