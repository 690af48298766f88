"""Cut and resize pictures of one size, each from its own box: two matrix products for the whole batch.

The same result as torchvision's antialiased resize of each crop, to rounding.
"""

import torch


def resample(pictures: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int], interpolation: str) -> torch.Tensor:
    """Return float32 pictures (B, 3, height, width) from boxes of `pictures` (B, 3, H, W), values as they were.

    `boxes` is (B, 4) int64: top, left, height and width of what is kept, inside the picture.
    """
    top, left, high, wide = boxes.unbind(1)
    down = weights(top, high, pictures.shape[2], size[0], interpolation)  # (B, height, H)
    across = weights(left, wide, pictures.shape[3], size[1], interpolation)  # (B, width, W)
    return down[:, None] @ (pictures.float() @ across[:, None].transpose(-2, -1))


def weights(start: torch.Tensor, length: torch.Tensor, pixels: int, out: int, interpolation: str) -> torch.Tensor:
    """Return how much each of `pixels` counts in each of `out` output pixels, (B, out, pixels); the sums are 1."""
    start, length = start[:, None, None], length[:, None, None]  # (B, 1, 1)
    scale = length / out  # pixels an output pixel covers
    centre = start + (torch.arange(out, device=start.device)[:, None] + 0.5) * scale  # (B, out, 1)
    places = torch.arange(pixels, device=start.device)  # (pixels,)
    kernel = KERNELS[interpolation]((places + 0.5 - centre) / scale.clamp(min=1))  # wider where it shrinks
    kernel = kernel * ((places >= start) & (places < start + length))
    return kernel / kernel.sum(-1, keepdim=True)


def _triangle(x: torch.Tensor) -> torch.Tensor:
    return (1 - x.abs()).clamp(min=0)


def _cubic(x: torch.Tensor, a: float = -0.5) -> torch.Tensor:
    x = x.abs()
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


KERNELS = {"bilinear": _triangle, "bicubic": _cubic}
