import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lptpp.backbones.weights import downloading, load_strictly, read_weights
from lptpp.utils.disk import CannotWrite
from lptpp.utils.errors import UserError


def test_reads_a_safetensors_file(tmp_path: Path) -> None:
    save_file({"a": torch.arange(3.0)}, tmp_path / "w.safetensors")
    assert read_weights(tmp_path / "w.safetensors")["a"].tolist() == [0, 1, 2]
    assert read_weights(str(tmp_path / "w.safetensors"))["a"].tolist() == [0, 1, 2]


def test_refuses_files_that_are_not_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.safetensors"):
        read_weights(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="w"):
        read_weights(tmp_path)
    pickled = tmp_path / "w.pt"
    torch.save({}, pickled)
    with pytest.raises(UserError, match=r"w\.pt .*\.safetensors"):
        read_weights(pickled)
    for content in (b"", b"not weights at all", torch.randn(9).numpy().tobytes()):
        (tmp_path / "broken.safetensors").write_bytes(content)
        with pytest.raises(UserError, match=r"broken\.safetensors"):
            read_weights(tmp_path / "broken.safetensors")


def test_refuses_a_file_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    save_file({"a": torch.randn(100)}, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"cut\.safetensors"):
        read_weights(path)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda weights: weights.pop("bias"), r"bias: .*\(2,\).* none"),
        (lambda weights: weights.update(extra=torch.zeros(1)), r"extra: .*\(1,\)"),
        (lambda weights: weights.update(weight=torch.zeros(3, 2)), r"weight: .*\(2, 3\).*\(3, 2\)"),
    ],
    ids=["missing", "extra", "shape"],
)
def test_names_and_shapes_must_match(change: object, message: str) -> None:
    module, weights = nn.Linear(3, 2), dict(nn.Linear(3, 2).state_dict())
    before = module.weight.clone()
    change(weights)
    with pytest.raises(UserError, match=f"^some file .*{message}"):
        load_strictly(module, weights, "some file")
    assert torch.equal(module.weight, before)


def test_weights_that_fit_are_loaded() -> None:
    module, other = nn.Linear(3, 2), nn.Linear(3, 2)
    load_strictly(module, other.state_dict(), "some file")
    assert torch.equal(module.weight, other.weight)
    assert torch.equal(module.bias, other.bias)


def test_a_failed_download_is_one_sentence_and_logging_comes_back() -> None:
    with pytest.raises(UserError) as caught, downloading("the weights w of b"):
        raise OSError("line one\n\n" + "and much more " * 100)
    message = str(caught.value)
    assert "the weights w of b (OSError: line one and much more" in message
    assert "\n" not in message
    assert len(message) < 400
    assert logging.root.manager.disable == logging.NOTSET


def test_a_download_to_a_full_disk_says_so() -> None:
    message = r"^The cache of w cannot be written \(No space left on device\): make room"
    with pytest.raises(CannotWrite, match=message), downloading("w"):
        raise OSError(28, "No space left on device", "/elsewhere/blob")
    assert logging.root.manager.disable == logging.NOTSET
