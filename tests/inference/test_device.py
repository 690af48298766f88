"""Where bfloat16 is faster than float32."""

import pytest
import torch

from lptpp.inference.runtime import has_bf16


@pytest.mark.parametrize(
    ("capabilities", "faster"),
    [
        ({}, False),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True, "avx512_fp16": False}, True),
        ({"avx512_bf16": True, "avx512_fp16": True, "amx_bf16": True}, True),
        ({"avx512_bf16": True, "avx512_fp16": True, "amx_bf16": False}, False),
    ],
)
def test_a_processor_takes_bfloat16_where_its_products_are_faster(capabilities, faster, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert has_bf16(on_cpu=True) is faster
