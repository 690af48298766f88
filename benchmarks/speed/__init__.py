"""Speed and memory: `python -m benchmarks.speed`.

| module | contents |
| --- | --- |
| `goals` | the goals, the findings, and the tables that are printed |
| `timing` | interleaved timing of cases, peak memory |
| `workload` | an expert, a batch and the precisions that are measured |
| `published` | the published form of an expert, as reference |
| `steps` | inference and training steps on tensors in memory |
| `loop` | the training loop on images against bare steps |
| `gpu` | ViT-B/16 on a GPU: share of its measured matmul rate, training on JPEG files |
| `sampler` | sampling from ten million images |
| `whole_fit` | a complete run of the demo |
"""
