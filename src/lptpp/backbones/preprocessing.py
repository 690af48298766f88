"""How a backbone wants its images."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Preprocessing:
    """Image size (height, width) in pixels, channel statistics, and the way to that size."""

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_share: float = 1.0  # side of the centre crop over side of the resized image (timm's crop_pct)
    squash: bool = False  # resize to `size` without keeping the aspect; else shorter side, then centre crop

    def at(self, size: tuple[int, int]) -> "Preprocessing":
        """Return the same preprocessing at another image size."""
        return replace(self, size=size)
