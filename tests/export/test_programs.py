import pytest
import torch

from lptpp.export.programs import expert_programs, result_program
from tests.export.made import CLASSES, make_model


@pytest.fixture(scope="module")
def mixture():
    return make_model("middle", "wide").mixture


def bytes_of(mixture, count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return {
        name: torch.randint(0, 256, (count, 3, *expert.backbone.preprocessing.size), generator=generator).to(
            torch.uint8
        )
        for name, expert in mixture.experts.items()
    }


def normalized(mixture, images: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """(x / 255 - mean) / std, channel by channel."""
    views = {}
    for name, image in images.items():
        wanted = mixture.experts[name].backbone.preprocessing
        channels = [(image[:, c] / 255 - wanted.mean[c]) / wanted.std[c] for c in range(3)]
        views[name] = torch.stack(channels, 1)
    return views


def test_the_result_program_normalizes_and_mixes(mixture):
    images = bytes_of(mixture, 6)
    program = result_program(mixture)
    probabilities, weights = program.module(*program.given(images))
    expected = mixture(normalized(mixture, images))
    torch.testing.assert_close(probabilities, expected.probabilities)
    torch.testing.assert_close(weights, expected.weights)
    assert weights.std(0).min() > 1e-3  # weights differ between images
    assert program.inputs == ["image_middle", "image_wide"]
    assert program.outputs == {"probabilities": ["batch", len(CLASSES)], "weights": ["batch", 2]}


def test_each_expert_program_is_one_expert(mixture):
    images = bytes_of(mixture, 6)
    views = normalized(mixture, images)
    programs = expert_programs(mixture)
    assert [program.name for program in programs] == ["expert-middle", "expert-wide"]
    for program, (name, expert) in zip(programs, mixture.experts.items(), strict=True):
        (probabilities,) = program.module(*program.given(images))
        expected = (expert.scale * expert(views[name]).cosines).softmax(-1)
        torch.testing.assert_close(probabilities, expected)


def test_a_single_expert_is_the_result_program():
    mixture = make_model("middle").mixture
    assert expert_programs(mixture) == []
    program = result_program(mixture)
    probabilities, weights = program.module(*program.given(bytes_of(mixture, 4)))
    assert torch.equal(weights, torch.ones(4, 1))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(4))
