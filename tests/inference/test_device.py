"""Where bfloat16 is faster than float32; what `accelerate launch` asks for in the environment."""

import pytest
import torch

from lptpp.inference.runtime import has_bf16, make_accelerator
from lptpp.utils.errors import UserError


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


def test_the_settings_decide_on_the_precision_and_not_the_launcher(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert make_accelerator("cpu", "float32").mixed_precision == "no"


@pytest.mark.parametrize(
    ("variable", "name"), [("DEEPSPEED", "DeepSpeed"), ("FSDP", "FSDP"), ("MEGATRON_LM", "Megatron-LM")]
)
def test_a_launcher_configured_for_another_engine_is_refused(variable, name, monkeypatch):
    monkeypatch.setenv(f"ACCELERATE_USE_{variable}", "true")
    with pytest.raises(UserError, match=f"configured for {name}"):
        make_accelerator("cpu", "float32")
