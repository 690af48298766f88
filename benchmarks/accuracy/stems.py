"""Remember what the frozen stems return, so that the runs of a table compute the feature maps of an image once.

Runs with the same images, seeds and crops ask the same stems for the same maps again and again: the stem takes most of
the time of an evaluation, and of a short training. The maps are kept in float16, as those of
`augmentation.cached_views`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from lptpp.backbones.base import weights_digest
from lptpp.backbones.hybrid import StemEmbed


class RememberedMaps:
    """The feature maps of images, by the weights of a stem and the pixels of an image."""

    def __init__(self) -> None:
        self.compute = StemEmbed.maps
        self.known: dict[tuple[str, bytes], torch.Tensor] = {}
        self.stems: dict[int, tuple[int, str]] = {}  # of each stem: the version of its weights, their digest

    def __call__(
        self, embed: StemEmbed, images: torch.Tensor, after: Sequence[nn.Module] | None = None
    ) -> torch.Tensor:
        """Return the feature maps (B, S, h, w) of images (B, 3, H, W); a trained stem computes them as always."""
        if torch.is_grad_enabled() or after is not None:
            return self.compute(embed, images, after)
        stem = self.digest(embed)
        keys = [(stem, hashlib.blake2b(image.numpy(), digest_size=16).digest()) for image in images.contiguous()]
        missing = [place for place, key in enumerate(keys) if key not in self.known]
        if missing:
            found = self.compute(embed, images[missing]).half()
            self.known |= {keys[place]: one for place, one in zip(missing, found.unbind(), strict=True)}
        return torch.stack([self.known[key].float() for key in keys])

    def digest(self, embed: StemEmbed) -> str:
        """Return the digest of the weights of a stem, computed again if they have changed."""
        state = embed.backbone.state_dict()
        version = sum(tensor._version for tensor in state.values())
        known = self.stems.get(id(embed.backbone))
        if known is None or known[0] != version:
            self.stems[id(embed.backbone)] = known = (version, weights_digest(state))
        return known[1]


@contextmanager
def remembered_maps() -> Iterator[None]:
    """Remember the feature maps of all stems within this context."""
    remembered = RememberedMaps()
    StemEmbed.maps = lambda *given: remembered(*given)  # type: ignore[method-assign]
    try:
        yield
    finally:
        StemEmbed.maps = remembered.compute  # type: ignore[method-assign]
