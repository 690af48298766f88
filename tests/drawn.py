"""Images drawn by tests."""

import io

import numpy as np
import torch
from PIL import Image


def pixels(seed: int) -> np.ndarray:
    """Return random pixels (4, 5, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)


def png(seed: int) -> bytes:
    """Return `pixels(seed)` as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels(seed)).save(file, "PNG")
    return file.getvalue()


def noise(height: int, width: int) -> torch.Tensor:
    """Return reproducible random pixels (3, H, W)."""
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def smooth(height: int, width: int) -> torch.Tensor:
    """Return linear color ramps (3, H, W)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([255 * x, 255 * y, 127 * (x + y)]).to(torch.uint8)
