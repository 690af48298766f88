"""The profile counts each operation once, as its kind."""

import pytest

from benchmarks.speed.profile import kind


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("aten::addmm", "products"),
        ("aten::mkldnn_convolution", "convolutions"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention"),
        ("autograd::engine::evaluate_function: NativeLayerNormBackward0", "norms"),
        ("aten::gelu_backward", "activations"),
        ("aten::_to_copy", "copies"),
        ("aten::add", "other"),
    ],
)
def test_kinds_of_operations(operation: str, expected: str) -> None:
    assert kind(operation) == expected
