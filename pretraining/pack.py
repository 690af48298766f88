"""Encoded images and their labels in one safetensors file per source, small enough to copy to another machine."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

Labeled = tuple[bytes, int]  # an encoded image and its label


class Packed(NamedTuple):
    """Decoded images of one source."""

    pictures: list[torch.Tensor]  # uint8 (3, H, W) each
    labels: torch.Tensor  # (n,) int64


def write_pack(path: Path, rows: Iterable[Labeled]) -> None:
    """Write encoded images as one byte string with the end offset of each."""
    encoded, labels = zip(*rows, strict=True)
    tensors = {
        "bytes": torch.frombuffer(bytearray(b"".join(encoded)), dtype=torch.uint8),
        "ends": torch.tensor(np.cumsum([len(one) for one in encoded])),
        "labels": torch.tensor(labels, dtype=torch.int32),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)


def read_source(folder: Path, source: str) -> Packed:
    """Return the images of a source, which may be split into several numbered files."""
    parts = [read_pack(path) for path in sorted(folder.glob(f"{source}_[0-9].safetensors"))]
    if not parts:
        return read_pack(folder / f"{source}.safetensors")
    return Packed([one for part in parts for one in part.pictures], torch.cat([part.labels for part in parts]))


def read_pack(path: Path) -> Packed:
    """Return the images in a file, decoded in threads."""
    tensors = load_file(path)
    data, ends = tensors["bytes"].numpy(), tensors["ends"].tolist()
    parts = [data[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    with ThreadPoolExecutor() as threads:
        return Packed(list(threads.map(_decode, parts, chunksize=64)), tensors["labels"].long())


def encode(picture: Image.Image, quality: int = 90) -> bytes:
    """Return an image encoded as WebP."""
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=6)
    return buffer.getvalue()


def _decode(data: np.ndarray) -> torch.Tensor:
    picture = Image.open(BytesIO(data.tobytes())).convert("RGB")
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
