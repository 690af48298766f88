import torch

from lptpp.inference.pipeline import batch_prediction
from lptpp.models.build import build_mixture


def test_each_view_of_a_picture_is_judged_as_if_it_came_alone(trained):
    views = torch.randn(3, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0))  # of 3 pictures, 2 each
    with torch.no_grad():
        expert_outputs = trained.mixture.forward_experts(dict.fromkeys(trained.mixture.experts, views.flatten(0, 1)))
        found = batch_prediction(trained.mixture, expert_outputs, 2)
        for picture in range(3):
            for view in range(2):
                mixed = trained.mixture(dict.fromkeys(trained.mixture.experts, views[picture, view][None]))
                torch.testing.assert_close(found.of_views[picture, view], mixed.probabilities[0])
                if view == 0:
                    torch.testing.assert_close(found.probabilities[picture], mixed.probabilities[0])
                    torch.testing.assert_close(found.weights[picture], mixed.weights[0])
    assert all(groups.shape == (3, 1) for groups in found.groups.values())


def test_one_expert_without_group_prompts_has_all_the_weight_and_no_groups(settings_of, tmp_path):
    mixture = build_mixture(settings_of(tmp_path, "method=vpt_deep"), 4)
    with torch.no_grad():
        found = batch_prediction(mixture, mixture.forward_experts({"visual": torch.randn(2, 3, 8, 8)}))
    assert found.groups == {}
    assert found.weights.tolist() == [[1.0], [1.0]]
    assert torch.equal(found.probabilities, found.experts["visual"])
    assert torch.equal(found.of_views[:, 0], found.probabilities)
