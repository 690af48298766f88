"""Arrays that save work if they are read again, in a safetensors file with a digest: damaged, it is as good as none."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lptpp.utils.disk import atomic_write

SEAL = "sha256"  # key of the metadata
Arrays = Mapping[str, np.ndarray]
About = Mapping[str, str]


def write_arrays(path: Path, arrays: Arrays, about: About | None = None) -> None:
    """Write arrays and texts about them."""
    whole, texts = {name: np.ascontiguousarray(array) for name, array in arrays.items()}, dict(about or {})
    with atomic_write(path, "wb") as file:
        file.write(save(whole, {**texts, SEAL: _seal(whole, texts)}))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]] | None:
    """Return what `write_arrays` wrote; None if the file is missing or changed."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "np") as file:
            texts = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, TypeError, ValueError):  # NumPy has no such type
        return None
    return (arrays, texts) if texts.pop(SEAL, None) == _seal(arrays, texts) else None


def _seal(arrays: Arrays, texts: About) -> str:
    digest = hashlib.sha256(repr(sorted(texts.items())).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
