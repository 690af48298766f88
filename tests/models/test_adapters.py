import torch

from lptpp.models.adapters import Adapter


def test_starts_as_zero_but_can_learn() -> None:
    adapter, hidden = Adapter(6, 3), torch.randn(2, 5, 6)
    assert adapter(hidden).abs().max() == 0
    assert adapter.down.weight.abs().min() > 0
    adapter(hidden).sum().backward()
    assert adapter.up.weight.grad.abs().sum() > 0


@torch.no_grad()
def test_equals_the_formula_written_as_loops() -> None:
    torch.manual_seed(0)
    adapter = Adapter(4, 3, scale=0.3).double()
    for parameter in adapter.parameters():
        parameter.normal_()
    hidden = torch.randn(1, 2, 4, dtype=torch.float64)
    found = adapter(hidden)
    down, up = adapter.down, adapter.up
    for t in range(2):
        narrow = [down.bias[j] + sum(down.weight[j, i] * hidden[0, t, i] for i in range(4)) for j in range(3)]
        narrow = [max(0.0, float(value)) for value in narrow]
        assert any(narrow)
        for i in range(4):
            expected = 0.3 * (up.bias[i] + sum(up.weight[i, j] * narrow[j] for j in range(3)))
            assert abs(found[0, t, i] - expected) < 1e-12
