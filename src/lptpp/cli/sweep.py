"""`lptpp sweep`."""

from pathlib import Path
from typing import Annotated

import typer

from lptpp.cli.arguments import LOADING_DATA, Config, Overrides, console, log


def sweep(
    config: Config,
    space: Annotated[
        str, typer.Option(help="A YAML file of settings and their values, or a search space.", show_default=False)
    ],
    overrides: Overrides = None,
    trials: Annotated[int, typer.Option(min=1, help="Number of trials, including earlier ones.")] = 20,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the sweep.")] = Path("runs/sweep"),
    metric: Annotated[str, typer.Option(help="The column of the table to optimize.")] = "mean_class",
    row: Annotated[str | None, typer.Option(help="The row of the table.  [default: the final prediction]")] = None,
) -> None:
    """Search hyperparameters with Optuna: trains one run per trial and compares them on the validation split.

    The test split is never used. After an interruption, repeat the command to resume within the current trial. Every
    trial updates best.yaml and trials.csv.

    **Examples**

    lptpp sweep emoji data.validation=0.2 --space lptpp --trials 20

    lptpp sweep my_images/ data.validation=0.2 --space space.yaml --metric few
    """
    from lptpp.config import load_settings
    from lptpp.config.paths import check_data_paths
    from lptpp.config.resolve import space_file

    path = space_file(space)
    check_data_paths(load_settings(config, overrides or []).data)
    log.info(LOADING_DATA)
    from lptpp.sweep.plan import make_plan
    from lptpp.sweep.search import sweep as run_trials

    best = run_trials(make_plan(config, tuple(overrides or ()), path, metric, row, output), trials)
    console.print(f"Best of {trials} trials: trial {best.number}, {metric} {best.value:.1f} on the validation split")
    for override in best.overrides:
        console.print(f"  {override}")
    console.print(f"All trials: {output / 'trials.csv'}. To train and test the best: lptpp fit {output / 'best.yaml'}")
