"""Measurements that are too long for tests; run as modules from the root of the repository.

    python -m benchmarks.speed --quick                    speed and memory against goals
    python -m benchmarks.accuracy emoji                   LPT++ and baselines on one data set
    python -m benchmarks.backbones                        which models of timm and open_clip can be experts
    python -m benchmarks.accuracy.ablation cifar100_lt    one part of LPT++ changed at a time

Results are in docs/results.md; `machine` adds hardware, versions and commit to every table.
"""
