"""Which of timm's and open_clip's models can be experts, with and without prompts: `python -m benchmarks.backbones`.

No weights are downloaded: models are built on the meta device, where only shapes are computed, and the small ones also
with random weights, to compare their features with timm's.
"""
