from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.config import LossSettings, PhaseSettings, StreamSettings
from lptpp.config.choices import READS
from lptpp.data.augment import Augmentation
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.data.loader import ViewDataset
from lptpp.losses import AGCL
from lptpp.models.expert import ExpertOutput
from lptpp.models.scorer import MIXES, Scorer
from lptpp.training.dual_sampling import ExpertTask, TrainingData, epoch_draws, image_batches, samplers_of, streams
from lptpp.training.loop import Batch, add_gradients
from lptpp.training.scorer_phase import ScorerTask

COUNTS = [60, 20, 7, 1]
EPOCHS = 4
SIZE = 8
BALANCED = {"positive_focus": 0.0, "negative_focus": 4.0}
NATURAL = {"positive_focus": 0.5, "negative_focus": 8.0}


def settings(dual: float = 0.5) -> PhaseSettings:
    return PhaseSettings(
        epochs=EPOCHS,
        batch_size=SIZE,
        main=StreamSettings("class_balanced", LossSettings(options=BALANCED)),
        dual=StreamSettings("instance_balanced", LossSettings(options=NATURAL), dual),
    )


def data() -> TrainingData:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(COUNTS)), COUNTS)
    images = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in labels]
    transform = Augmentation(Preprocessing((8, 8), (0.5,) * 3, (0.5,) * 3, "bilinear"), 0.3, True, 0.0)
    views = ViewDataset(ImageCache(Split(list(images), labels), 2**20), labels, {"visual": transform})
    return TrainingData(views, torch.tensor(COUNTS), seed=3, workers=0)


class Stub(nn.Module):
    """An expert that looks up what it says of an image."""

    scale = 20.0

    def __init__(self, cosines: torch.Tensor, match: torch.Tensor) -> None:
        super().__init__()
        self.cosines, self.match = cosines, match

    def forward(self, images: torch.Tensor) -> ExpertOutput:
        cosines = self.cosines[images]
        return ExpertOutput(cosines, cosines, self.match[images], cosines)


def loss_of(task: ExpertTask, labels: torch.Tensor, epoch: int, streams: int) -> torch.Tensor:
    """Return the loss of a batch whose images are numbered, as the loop takes it."""
    torch.manual_seed(5)
    batch = Batch(torch.arange(len(labels)), labels, lambda: [], streams)
    return add_gradients(task, lambda loss: None, batch, epoch)


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_the_loss_of_phase_2_is_the_formula_of_the_paper(epoch):
    cosines, match = torch.rand(2 * SIZE, len(COUNTS)) * 2 - 1, torch.rand(2 * SIZE)
    labels = torch.arange(2 * SIZE) % len(COUNTS)
    expert, counts = Stub(cosines, match), torch.tensor(COUNTS)
    found = loss_of(ExpertTask(expert, expert.forward, counts, settings()), labels, epoch, 2)
    torch.manual_seed(5)
    class_balanced = AGCL(counts, 20.0, positive_focus=0.0, negative_focus=4.0)(cosines[:SIZE], labels[:SIZE])
    instance_balanced = AGCL(counts, 20.0, positive_focus=0.5, negative_focus=8.0)(cosines[SIZE:], labels[SIZE:])
    expected = class_balanced - 0.5 * match[:SIZE].mean()
    expected += 0.5 * (EPOCHS - epoch) / EPOCHS * (instance_balanced - 0.5 * match[SIZE:].mean())
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_without_a_dual_stream_the_loss_is_the_main_one_alone():
    cosines, labels = torch.rand(SIZE, len(COUNTS)), torch.zeros(SIZE, dtype=torch.long)
    expert, counts = Stub(cosines, torch.zeros(SIZE)), torch.tensor(COUNTS)
    alone = settings(dual=0.0)
    found = loss_of(ExpertTask(expert, expert.forward, counts, alone), labels, 0, 1)
    torch.manual_seed(5)
    assert found.item() == pytest.approx(AGCL(counts, 20.0)(cosines, labels).item())
    assert len(streams(alone)) == 1


def draws_of(training: TrainingData, name: str, epoch: int):
    return epoch_draws(name, samplers_of(training, settings()), SIZE, training.seed, epoch)


def test_a_batch_holds_class_balanced_and_then_as_many_instance_balanced_images():
    training = data()
    drawn = [[], []]  # labels of the main, of the dual stream
    natural = []
    for epoch in range(30):
        images = np.array([image for image, _ in draws_of(training, "visual/phase2", epoch)])
        assert len(images) == 2 * sum(COUNTS)
        for start in range(0, len(images), 2 * SIZE):
            batch = images[start : start + 2 * SIZE]
            for stream, half in enumerate(np.split(batch, 2)):
                drawn[stream].extend(training.views.labels[half])
            natural.extend(np.split(batch, 2)[1])
        assert sorted(natural[-sum(COUNTS) :]) == list(range(sum(COUNTS)))  # each image once an epoch
    shares = [np.bincount(labels, minlength=4) / len(labels) for labels in drawn]
    assert shares[0] == pytest.approx([0.25] * 4, abs=0.04)
    assert shares[1] == pytest.approx(np.array(COUNTS) / sum(COUNTS))


def test_an_image_drawn_twice_is_seen_in_two_ways():
    training = data()
    draws = draws_of(training, "visual/phase2", 0)
    keys = [key for _, key in draws]
    assert len(set(keys)) == len(keys)
    rare = [draw for draw in draws if draw[0] == sum(COUNTS) - 1]  # the only image of its class
    assert len(rare) > 5
    seen = training.views.of(rare)[0]["visual"]
    assert not any(torch.equal(one, other) for i, one in enumerate(seen) for other in seen[:i])


def test_draws_differ_between_epochs_and_stages_and_not_between_calls():
    training = data()
    first = list(draws_of(training, "visual/phase2", 0))
    assert first == list(draws_of(training, "visual/phase2", 0))
    assert first != list(draws_of(training, "visual/phase2", 1))
    assert first != list(draws_of(training, "visual/phase1", 0))


def test_a_slice_of_the_draws_holds_the_same_draws():
    draws = draws_of(data(), "visual/phase2", 0)
    assert draws[3:9] == list(draws)[3:9]
    assert draws[-1] == list(draws)[-1]


def test_batches_from_the_middle_of_an_epoch_are_the_rest_of_it():
    batches = partial(image_batches, "visual/phase2", data(), settings(), samplers_of(data(), settings()), 1)
    whole, rest = list(batches(0)), list(batches(4))
    assert len(whole) == -(-sum(COUNTS) // SIZE)
    assert len(whole[0].inputs) == 2 * SIZE
    assert whole[0].streams == 2
    assert len(rest) == len(whole) - 4
    for expected, found in zip(whole[4:], rest, strict=True):
        assert torch.equal(expected.inputs, found.inputs)
        assert torch.equal(expected.labels, found.labels)
        assert expected.names() == found.names()
    assert list(batches(len(whole))) == []


class Two:
    """A mixture of two experts of which only the scorer is there."""

    def __init__(self, reads: str, mixes: str, classes: int) -> None:
        torch.manual_seed(2)
        self.scorer = Scorer([6, 3], 5, classes, reads)
        nn.init.normal_(self.scorer.last.weight)
        self.mix = MIXES[mixes]


def test_the_scorers_loss_is_minus_log_of_the_weighted_confidence_of_the_truth():
    mixture = Two("features", "probabilities", 1)
    features = [F.normalize(torch.randn(7, width), dim=-1) for width in (6, 3)]
    confidences = torch.rand(7, 2)
    inputs = torch.cat([*features, confidences], dim=1)
    found = ScorerTask(mixture, [6, 3])(inputs, torch.zeros(7, dtype=torch.long), 0)
    weights = mixture.scorer(features, confidences[:, :, None]).detach()
    total = sum(-np.log(float((weights[image] * confidences[image]).sum())) for image in range(7))
    assert found.item() == pytest.approx(total / 7, rel=1e-5)


@pytest.mark.parametrize("mixes", list(MIXES))
@pytest.mark.parametrize("reads", READS)
def test_with_whole_scores_the_loss_is_the_cross_entropy_of_the_mixture(reads, mixes):
    mixture = Two(reads, mixes, 4)
    features = [F.normalize(torch.randn(7, width), dim=-1) for width in (6, 3)]
    scores, labels = torch.rand(7, 2, 4).softmax(-1), torch.tensor([0, 1, 2, 3, 3, 2, 1])
    found = ScorerTask(mixture, [6, 3])(torch.cat([*features, scores.flatten(1)], dim=1), labels, 0)
    probabilities = mixture.mix(scores, mixture.scorer(features, scores)).detach()
    total = sum(-np.log(float(probabilities[image, label])) for image, label in enumerate(labels))
    assert found.item() == pytest.approx(total / 7, rel=1e-5)
