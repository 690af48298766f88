"""The layout of the page; all that it tells comes from `answers` and `cards`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lptpp.app.cards import cards
from lptpp.app.examples import Example
from lptpp.app.predictions import Asked, PicturePredictor
from lptpp.data.statistics import describe_shots
from lptpp.utils.extras import extra

MOST = 50  # pictures answered at once
MANY = f"Only the first {MOST} pictures are answered here: `lptpp predict` takes any number."
INTRO = "Nothing leaves this computer: pictures are read here and removed when the page is stopped."


def gradio() -> Any:
    """Return Gradio, which is told first to send no statistics.

    Raises `UserError` where it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    return extra("gradio", "app", "lptpp app")


def build_page(predictor: PicturePredictor, title: str, examples: Sequence[Example]) -> Any:
    """Return the page as `gradio.Blocks`: a place to drop pictures, examples of the run, and a card for each answer."""
    gr = gradio()
    low, high = predictor.model.settings.evaluation.shot_thresholds
    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.Markdown(f"# {title}\n{INTRO} Classes are {describe_shots((low, high))}.")
        drop = gr.File(label="Drop pictures here", file_count="multiple", height=140)
        gallery = _gallery(examples) if examples else None
        result = gr.HTML()
        _connect(predictor, examples, drop, gallery, result)
    return page


def _gallery(examples: Sequence[Example]) -> Any:
    gr = gradio()
    gr.Markdown("Or pick one of the run's own pictures, which the model has not learned from:")
    return gr.Gallery(
        [(picture, asked.true) for asked, picture in examples],
        columns=len(examples),
        show_label=False,
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_classes="examples",
    )


def _connect(predictor: PicturePredictor, examples: Sequence[Example], drop: Any, gallery: Any, result: Any) -> None:
    gr = gradio()

    def uploaded(paths: list[str] | None, progress: Any = gr.Progress()) -> tuple[str, None]:  # noqa: B008
        given = [Asked(Path(path).name, Path(path)) for path in paths or ()]
        predictions = [predictor.predict(one) for one in progress.tqdm(given[:MOST], desc="Judging", unit="pictures")]
        return cards(predictions, MANY if len(given) > MOST else ""), None  # the place is free for the next pictures

    def picked(event: gr.SelectData) -> str:  # type: ignore[name-defined]
        return cards([predictor.predict(examples[event.index][0])])

    one_at_a_time: Any = {"concurrency_limit": 1, "concurrency_id": "model", "api_visibility": "private"}
    drop.upload(uploaded, drop, [result, drop], **one_at_a_time)
    if gallery is not None:
        gallery.select(picked, None, result, **one_at_a_time)
