"""Export of a trained run: ONNX, `torch.export`, Hugging Face Hub (docs/export.md)."""
