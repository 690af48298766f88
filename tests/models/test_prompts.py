"""Shared prompts, and the selection of group prompts against a loop over images."""

import pytest
import torch

from lptpp.models.prompts import GroupPrompts, SharedPrompts

POOL, BLOCKS, LENGTH, WIDTH = 7, 2, 3, 5


def make_groups(top_k: int) -> GroupPrompts:
    torch.manual_seed(4)
    groups = GroupPrompts(POOL, top_k, BLOCKS, LENGTH, WIDTH).double()
    groups.tokens.data.normal_()
    groups.keys.data.mul_(torch.linspace(0.1, 20, POOL)[:, None])  # lengths must not matter
    return groups


def make_queries(images: int = 4) -> torch.Tensor:
    return 3 * torch.randn(images, WIDTH, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


def chosen_by_loop(groups: GroupPrompts, query: torch.Tensor) -> tuple[list[int], list[torch.Tensor]]:
    """Return the chosen entries of one image, best first, and the cosines of the query with every key."""
    cosines = [(query * key).sum() / (query.pow(2).sum().sqrt() * key.pow(2).sum().sqrt()) for key in groups.keys]
    ranked = sorted(range(POOL), key=lambda entry: -float(cosines[entry].detach()))
    return ranked[: groups.top_k], cosines


def by_loop(groups: GroupPrompts, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    prompts, match = [], []
    for query in queries:
        entries, cosines = chosen_by_loop(groups, query)
        prompts.append(sum(groups.tokens[entry] for entry in entries) / len(entries))
        match.append(sum(cosines[entry] for entry in entries))
    return torch.stack(prompts), torch.stack(match)


def test_shared_prompts_are_those_of_the_block() -> None:
    shared = SharedPrompts(blocks=4, length=3, width=6)
    for block in range(4):
        assert shared(block).shape == (1, 3, 6)
        assert torch.equal(shared(block)[0], shared.tokens[block])
    assert len(shared.tokens.flatten(1).unique(dim=0)) == 4  # every block starts with prompts of its own


@pytest.mark.parametrize("top_k", [1, 2, 3, POOL])
def test_selection_equals_a_loop(top_k: int) -> None:
    groups, queries = make_groups(top_k), make_queries()
    prompts, match, entries = groups(queries)
    expected_prompts, expected_match = by_loop(groups, queries)
    assert prompts.shape == (4, BLOCKS, LENGTH, WIDTH)
    torch.testing.assert_close(prompts, expected_prompts, atol=1e-12, rtol=0)
    torch.testing.assert_close(match, expected_match, atol=1e-12, rtol=0)
    assert entries.tolist() == [chosen_by_loop(groups, query)[0] for query in queries]


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_gradients_equal_those_of_the_loop(top_k: int) -> None:
    groups, queries = make_groups(top_k), make_queries().requires_grad_()
    leaves = [groups.keys, groups.tokens, queries]
    direction = torch.randn(4, BLOCKS, LENGTH, WIDTH, dtype=torch.float64)
    gradients = []
    for form in (groups, lambda given: by_loop(groups, given)):
        prompts, match = form(queries)[:2]
        gradients.append(torch.autograd.grad((prompts * direction).sum() - 0.5 * match.mean(), leaves))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_another_selection_replaces_the_best_matches() -> None:
    groups, queries, chosen = make_groups(top_k=2), make_queries(), [[6, 0, 2], [1, 2, 3], [3, 2, 1], [5, 4, 6]]
    prompts, match, entries = groups(queries, lambda similarity: torch.tensor(chosen))
    for image, (query, three) in enumerate(zip(queries, chosen, strict=True)):
        mean = (groups.tokens[three[0]] + groups.tokens[three[1]] + groups.tokens[three[2]]) / 3
        torch.testing.assert_close(prompts[image], mean, atol=1e-12, rtol=0)
        cosines = chosen_by_loop(groups, query)[1]
        torch.testing.assert_close(match[image], sum(cosines[entry] for entry in three), atol=1e-12, rtol=0)
    assert entries.tolist() == chosen
    torch.testing.assert_close(groups(queries, groups.best), groups(queries), atol=0, rtol=0)


def test_only_what_was_chosen_gets_gradients() -> None:
    groups, queries = make_groups(top_k=2), make_queries(2)
    used = {entry for query in queries for entry in chosen_by_loop(groups, query)[0]}
    assert 2 <= len(used) < POOL
    prompts, match, _ = groups(queries)
    (prompts.pow(2).sum() - match.mean()).backward()
    for entry in range(POOL):
        assert (groups.keys.grad[entry].abs().sum() > 0) == (entry in used)
        assert (groups.tokens.grad[entry].abs().sum() > 0) == (entry in used)


def test_the_match_alone_reaches_the_keys_and_raises_their_cosine() -> None:
    groups, queries = make_groups(top_k=2), make_queries()
    before = groups(queries)[1]
    (-before.mean()).backward()
    assert groups.tokens.grad is None
    assert groups.keys.grad.abs().sum() > 0
    with torch.no_grad():
        groups.keys -= 0.01 * groups.keys.grad
    assert groups(queries)[1].mean() > before.mean()


def test_prompts_alone_give_the_keys_no_gradient() -> None:
    groups = make_groups(top_k=2)
    groups(make_queries())[0].sum().backward()
    assert groups.keys.grad is None


def test_keys_start_short_enough_to_turn() -> None:
    """The gradient of a cosine is inversely proportional to the length of the key, and so is the turn it makes."""
    torch.manual_seed(0)
    groups = GroupPrompts(20, 1, 1, 1, 768)
    assert groups.keys.std().item() == pytest.approx(0.02, rel=0.02)
    query = torch.randn(64, 768)
    before = groups.keys.detach().clone()
    optimizer = torch.optim.SGD(groups.parameters(), lr=1.0)
    for _ in range(10):
        optimizer.zero_grad()
        (-0.5 * groups(query)[1].mean()).backward()
        optimizer.step()
    used = groups(query)[2].unique()
    turned = torch.nn.functional.cosine_similarity(groups.keys.detach()[used], before[used])
    assert turned.min() < 0.99  # keys of deviation 1 stay above 0.999999
