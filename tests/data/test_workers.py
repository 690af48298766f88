"""Images in tables, shards and saved data sets are read by the workers of a loader."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data.cache import ImageCache
from lptpp.data.loader import ViewDataset, batches
from lptpp.data.sources import read_source
from lptpp.data.transforms import evaluation_transform, per_image

PIXELS = [np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8) for i in range(12)]
NAMES = ["oak" if i % 3 else "elm" for i in range(12)]


def png(i: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS[i]).save(file, "PNG")
    return file.getvalue()


def parquet(root: Path) -> dict[str, Any]:
    columns = {"image": [png(i) for i in range(12)], "label": NAMES}
    pyarrow.parquet.write_table(pyarrow.table(columns), root / "a.parquet")
    return {"source": "parquet", "train_list": str(root / "a.parquet")}


def webdataset(root: Path) -> dict[str, Any]:
    with tarfile.open(root / "a.tar", "w") as archive:
        for i, name in enumerate(NAMES):
            for kind, content in (("png", png(i)), ("txt", name.encode())):
                info = tarfile.TarInfo(f"{i}.{kind}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return {"source": "webdataset", "train_list": "a.tar"}


def huggingface(root: Path) -> dict[str, Any]:
    columns = {"image": [{"bytes": png(i), "path": None} for i in range(12)], "label": NAMES}
    datasets.Dataset.from_dict(columns).save_to_disk(root / "saved")
    return {"source": "huggingface", "root": str(root / "saved")}


@pytest.mark.parametrize("made", [parquet, webdataset, huggingface], ids=lambda made: made.__name__)
def test_workers_read_the_same_images(made: Callable[[Path], dict[str, Any]], tmp_path: Path) -> None:
    arguments = {"root": str(tmp_path), "test": 0.0, "split_seed": 0, "memory_gb": 1.0} | made(tmp_path)
    split = read_source(validation=0.0, **arguments).train
    assert split.labels.tolist() == [int(name == "oak") for name in NAMES]
    plain = {"plain": per_image(evaluation_transform(Preprocessing((8, 8), (0.0,) * 3, (1.0,) * 3, "bilinear")))}
    expected = torch.from_numpy(np.stack(PIXELS)).permute(0, 3, 1, 2) / 255
    for workers in (0, 2):
        views = ViewDataset(ImageCache(split, memory_bytes=0), split.labels, plain)
        seen = [batch["plain"] for batch, _, _ in batches(views, [(i, 0) for i in range(12)], 5, workers)]
        assert torch.allclose(torch.cat(seen), expected, atol=1e-6)
