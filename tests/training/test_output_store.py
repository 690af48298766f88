from pathlib import Path

import torch

from lptpp.training.output_store import RowStore


def test_rows_are_written_once_in_memory_or_in_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    features, scores, targets = torch.rand(10, 3), torch.rand(10, 2, 4), torch.arange(10)
    for memory in (10**6, 10):
        store = RowStore(10, memory, tmp_path)
        for part in torch.arange(10).split(4):
            store.add([features[part], scores[part]])
            store.add_targets(targets[part])
        found = [column.float() for column in store.columns]
        tolerance = 0 if memory > 10 else 1e-3
        torch.testing.assert_close(found[0], features, rtol=tolerance, atol=0)
        torch.testing.assert_close(found[1], scores, rtol=tolerance, atol=0)
        assert torch.equal(store.targets, targets)
    assert store.columns[0].dtype == torch.float16
    assert list(tmp_path.iterdir()) == []
