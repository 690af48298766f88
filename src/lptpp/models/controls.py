"""Mixing rules without a scorer, for comparison: how much of its gain needs a decision for every image.

The weights are fitted to the data of the scorer, on the loss of the scorer, and evaluated as rows of the shot table.
"""

from collections.abc import Callable

import torch
from torch import nn

from lptpp.models.scorer import MIXES, log_probabilities

STEPS = 50  # of L-BFGS
Mix = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class MixingControls(nn.Module):
    """One weight for each expert, and one for each expert and class; equal until they are fitted."""

    constant: torch.Tensor
    of_classes: torch.Tensor

    def __init__(self, experts: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("constant", torch.zeros(experts))  # (E,); their softmax are the weights
        self.register_buffer("of_classes", torch.zeros(classes, experts))  # (C, E)

    def fit(self, probabilities: torch.Tensor, labels: torch.Tensor, mix: Mix) -> None:
        """Minimize the cross-entropy on confidence scores (n, E, C) and labels (n,).

        With the scores of the true class alone, (n, E, 1) and labels of 0, there are no weights of classes to fit.
        """
        self.constant.copy_(_minimized(lambda w: _loss(constant_weight(probabilities, w, mix), labels), self.constant))
        if probabilities.shape[2] == len(self.of_classes):
            found = _minimized(lambda w: _loss(class_weights(probabilities, w), labels), self.of_classes)
            self.of_classes.copy_(found)

    def lacks_classes(self) -> bool:
        """Return whether the weights of classes were not fitted."""
        return not self.of_classes.any()

    def rows(self, probabilities: torch.Tensor, mix: Mix) -> dict[str, torch.Tensor]:
        """Return the scores (B, C) of every rule for scores (B, E, C); class weights only if they are fitted."""
        equal = torch.full_like(probabilities[:, :, 0], 1 / probabilities.shape[1])
        return {
            **{f"average_{name}": other(probabilities, equal) for name, other in MIXES.items() if other is not mix},
            "constant_weight": constant_weight(probabilities, self.constant, mix),
            **({"class_weights": class_weights(probabilities, self.of_classes)} if not self.lacks_classes() else {}),
        }


def constant_weight(probabilities: torch.Tensor, constant: torch.Tensor, mix: Mix) -> torch.Tensor:
    """Return the mixture (B, C) of scores (B, E, C) with the weights softmax(constant), (E,), for every image."""
    return mix(probabilities, constant.softmax(-1).expand(probabilities.shape[0], -1))


def class_weights(probabilities: torch.Tensor, of_classes: torch.Tensor) -> torch.Tensor:
    """Return Σ_e w_ce p_e(c), divided by its sum over the classes c: (B, C) from (B, E, C) and (C, E)."""
    mixed = torch.einsum("bec,ce->bc", probabilities, of_classes.softmax(-1))
    return mixed / mixed.sum(-1, keepdim=True)


def oracle(probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return, for each image, the scores (B, C) of the expert that gives its class (B,) the highest one.

    It uses the labels: an upper bound for any rule that selects one expert per image.
    """
    right = probabilities.argmax(-1) == labels[:, None]  # (B, E)
    of_truth = probabilities.gather(2, labels[:, None, None].expand(-1, probabilities.shape[1], 1))[:, :, 0]
    best = (right + of_truth).argmax(1)  # a correct expert, the most confident of them
    return probabilities[torch.arange(len(labels), device=labels.device), best]


def _minimized(loss: Callable[[torch.Tensor], torch.Tensor], like: torch.Tensor) -> torch.Tensor:
    """Return the point of least loss that L-BFGS finds from 0, of the shape of `like`."""
    point = torch.zeros_like(like).requires_grad_()
    optimizer = torch.optim.LBFGS([point], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(point) + 1e-3 * point.square().mean()  # keeps the weights of classes without images equal
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(closure)
    return point.detach()


def _loss(mixed: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return -log_probabilities(mixed.gather(1, labels[:, None])).mean()
