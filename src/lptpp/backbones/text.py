"""The text tower of a CLIP: class names and templates to unit vectors."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from lptpp.errors import UserError


class TextTower:
    """A frozen text tower and its tokenizer.

    `logit_scale` is the factor CLIP puts before its cosines; zero-shot logits are `logit_scale * cos`.
    """

    def __init__(self, model: Any, tokenizer: Callable[[list[str]], torch.Tensor]) -> None:
        self.model = model.float().eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.logit_scale = float(model.logit_scale.exp())

    @torch.inference_mode()
    def encode(self, texts: list[str], batch_size: int = 256) -> torch.Tensor:
        """Return the unit features (n, F) of `texts`."""
        parts = [texts[start : start + batch_size] for start in range(0, len(texts), batch_size)]
        return torch.cat([self.model.encode_text(self.tokenizer(part), normalize=True) for part in parts])

    def class_vectors(self, names: Sequence[str], templates: Sequence[str]) -> torch.Tensor:
        """Return a unit vector (C, F) for each class: the mean over templates of the unit text features (CLIP).

        Raises `UserError` for a template without `{}`.
        """
        for template in templates:
            if "{}" not in template:
                raise UserError(f"Template {template!r} has no {{}}: write the place of the class name as {{}}.")
        texts = [template.replace("{}", name.replace("_", " ")) for name in names for template in templates]
        features = self.encode(texts).clone()  # out of inference mode, so that a head may start from it
        return F.normalize(features.view(len(names), len(templates), -1).mean(1), dim=-1)
