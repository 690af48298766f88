import math

import pytest
import torch
import torch.nn.functional as F

from lptpp.models.head import CosineHead, class_means


def cosine(a: list[float], b: list[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths


@torch.no_grad()
def test_the_classifier_gives_cosines_whatever_the_lengths() -> None:
    torch.manual_seed(0)
    head = CosineHead(4, 6).double()
    head.weight.data.mul_(torch.tensor([[0.1], [1], [7], [30]]))
    features = torch.randn(3, 6, dtype=torch.float64) * 5
    cosines = head(features)
    assert cosines.shape == (3, 4)
    for b in range(3):
        for c in range(4):
            expected = cosine(features[b].tolist(), head.weight[c].tolist())
            assert abs(float(cosines[b, c]) - expected) < 1e-12


@torch.no_grad()
def test_dropout_is_the_cosine_of_the_feature_without_the_dropped_entries() -> None:
    torch.manual_seed(0)
    head, features = CosineHead(4, 4000).double(), torch.randn(3, 4000, dtype=torch.float64)
    torch.manual_seed(7)
    found = head(features, 0.1)
    torch.manual_seed(7)
    mask = F.dropout(torch.ones_like(features), 0.1)  # the same draws
    assert sorted(set(mask.flatten().tolist())) == [0, 1 / 0.9]
    assert float(mask.mean()) == pytest.approx(1, abs=0.01)  # the expected feature is the feature
    for b in range(3):
        kept = [f / 0.9 if m else 0.0 for f, m in zip(features[b].tolist(), mask[b].tolist(), strict=True)]
        for c in range(4):
            assert abs(float(found[b, c]) - cosine(kept, head.weight[c].tolist())) < 1e-12


@torch.no_grad()
def test_without_dropout_no_random_number_is_drawn() -> None:
    head, features = CosineHead(4, 6), torch.randn(3, 6)
    before = torch.get_rng_state()
    assert torch.equal(head(features), head(features, 0.0))
    assert torch.equal(torch.get_rng_state(), before)


def test_starts_from_the_directions_of_vectors() -> None:
    head, vectors = CosineHead(3, 5), 9 * torch.randn(3, 5)
    head.start_from(vectors)
    for row, vector in zip(head.weight, vectors, strict=True):
        torch.testing.assert_close(row, vector / vector.norm())
    assert head.weight.requires_grad
    head(torch.randn(2, 5)).sum().backward()
    assert head.weight.grad.abs().sum() > 0


def test_class_means_equal_a_loop_and_leave_a_class_without_image_alone() -> None:
    torch.manual_seed(1)
    features, unseen = torch.randn(9, 4, dtype=torch.float64) * 3, torch.randn(5, 4, dtype=torch.float64)
    labels = torch.tensor([3, 0, 3, 1, 0, 3, 3, 0, 1])  # 2 and 4 have no image
    means = class_means(features, labels, unseen)
    for c in range(5):
        own = [feature / feature.norm() for feature, label in zip(features, labels, strict=True) if label == c]
        if not own:
            assert torch.equal(means[c], unseen[c])
            continue
        mean = sum(own) / len(own)
        torch.testing.assert_close(means[c], mean / mean.norm(), atol=1e-12, rtol=0)
    assert (labels == 2).sum() == (labels == 4).sum() == 0
