"""Accuracy: `python -m benchmarks.accuracy` and `python -m benchmarks.accuracy.ablation`.

| module | contents |
| --- | --- |
| `__main__`, accuracy.yaml | LPT++ and baselines on one data set, mean and deviation over seeds |
| `inference` | images per second of the rows of that table |
| `ablation`, ablation.yaml | variants of phases 1 to 3, on the validation split |
| `branch` | start a run from phase 1 of another one |
| `scorers` | variants of the scorer on one finished run |
"""
