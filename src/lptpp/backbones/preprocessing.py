"""How a backbone wants its images: their size, channel statistics, and how they are resized."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Preprocessing:
    """Input size (height, width) in pixels, channel statistics, and how images are resized."""

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_share: float = 1.0  # side of the center crop over side of the resized image (timm's crop_pct)
    resize: str = "crop"  # `data.resize`: shorter side and center crop, squash, or pad
    crops: str = "crop"  # the same for random crops in training

    def at(self, size: tuple[int, int]) -> "Preprocessing":
        """Return the same preprocessing at another input size."""
        return replace(self, size=size)

    def evaluated_by(self, resize: str | None, crop_share: float | None) -> "Preprocessing":
        """Return the same preprocessing with another resize and crop in evaluation; None keeps its own."""
        return replace(
            self,
            resize=self.resize if resize is None else resize,
            crop_share=self.crop_share if crop_share is None else crop_share,
        )

    def resizing(self, mode: str | None) -> "Preprocessing":
        """Return the same preprocessing with another mode of resizing, in training too; None keeps the backbone's own.

        Squash and pad then show the whole image.
        """
        if mode is None:
            return self
        return replace(self, resize=mode, crops=mode, crop_share=self.crop_share if mode == "crop" else 1.0)
