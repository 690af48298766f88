"""The page: a Gradio layout, and an HTML card per image."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lptpp.app.examples import ExampleImage, Examples
from lptpp.app.predictions import ImageInput, ImagePrediction, ImagePredictor, RejectedImage
from lptpp.data.statistics import describe_shots
from lptpp.report.style import COLORS
from lptpp.report.text import percent, shortened
from lptpp.utils.extras import extra
from lptpp.utils.text import counted

MOST = 50  # images per upload
COLUMNS = 10  # of the examples
ONE_AT_A_TIME: Any = {"concurrency_limit": 1, "concurrency_id": "model", "api_visibility": "private"}
TOO_MANY = f"Only the first {MOST} images are classified here; `lptpp predict` takes any number."
INTRO = "Your images stay on this computer: they are read here and deleted when the page is stopped."


def gradio() -> Any:
    """Return Gradio with its telemetry switched off.

    Raises:
        UserError: the extra `app` is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    return extra("gradio", "app", "lptpp app")


def build_page(predictor: ImagePredictor, title: str, examples: Examples | None = None) -> Any:
    """Return the page as `gradio.Blocks`: a drop area, example images of the run, and a card per prediction."""
    gr = gradio()
    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.Markdown(f"# {title}\n{INTRO} Shots: {describe_shots(predictor.model.settings.evaluation.shot_thresholds)}.")
        drop = gr.File(label="Drop images here", file_count="multiple", height=140)
        shown = [] if examples is None else examples.shown()
        gallery = _gallery(shown) if shown else None
        names = [] if examples is None or len(shown) == len(examples.classes) else examples.classes
        by_name = gr.Dropdown(names, value=None, label="Or an example of this class") if names else None
        result = gr.HTML()
        _connect(predictor, shown, drop, gallery, result)
        if examples is not None and by_name is not None:
            _connect_names(predictor, examples, by_name, result)
    return page


def cards(predictions: Sequence[ImagePrediction | RejectedImage], note: str = "") -> str:
    """Return the HTML cards of images, in order, after an optional note; every text is escaped."""
    loader = PackageLoader("lptpp.app", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "counted": counted, "shortened": shortened}
    return environment.get_template("cards.html").render(predictions=predictions, note=note)


def style() -> str:
    """Return the style sheet of the cards, with the colors of the shot groups."""
    source = PackageLoader("lptpp.app", "templates").get_source(Environment(), "cards.css")[0]
    colors = "".join(f"--{shot}: {color}; " for shot, color in COLORS.items())
    return f":root {{ {colors}}}\n{source}"


def _gallery(examples: Sequence[ExampleImage]) -> Any:
    gr = gradio()
    gr.Markdown("Or choose an image of the run that the model was not trained on:")
    return gr.Gallery(
        [(image, given.true) for given, image in examples],
        columns=min(len(examples), COLUMNS),
        show_label=False,
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_classes="examples",
    )


def _connect(predictor: ImagePredictor, examples: Sequence[ExampleImage], drop: Any, gallery: Any, result: Any) -> None:
    gr = gradio()

    def uploaded(paths: list[str] | None, progress: Any = gr.Progress()) -> tuple[str, None]:  # noqa: B008
        given = [ImageInput(Path(path).name, Path(path)) for path in paths or ()]
        predictions = [predictor.predict(one) for one in progress.tqdm(given[:MOST], desc="Predicting", unit="images")]
        return cards(predictions, TOO_MANY if len(given) > MOST else ""), None  # clears the drop area

    def selected(event: gr.SelectData) -> str:  # type: ignore[name-defined]
        return cards([predictor.predict(examples[event.index][0])])

    drop.upload(uploaded, drop, [result, drop], **ONE_AT_A_TIME)
    if gallery is not None:
        gallery.select(selected, None, result, **ONE_AT_A_TIME)


def _connect_names(predictor: ImagePredictor, examples: Examples, names: Any, result: Any) -> None:
    def chosen(name: str | None) -> str:
        if name is None:
            return ""
        example = examples.of_class(name)
        return (
            cards([], f"No image of {name} can be read.") if example is None else cards([predictor.predict(example[0])])
        )

    names.change(chosen, names, result, **ONE_AT_A_TIME)
