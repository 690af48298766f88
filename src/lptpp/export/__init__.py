"""Handing a trained run over: ONNX, a plain PyTorch program, a Hugging Face folder (docs/export.md)."""
