"""Model input: at what size and in which shape the model sees the images."""

from lptpp.data.prepare import decoding, known_preprocessings
from lptpp.data.seen import sampled_size, sentences, strip
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Picture, Section
from lptpp.report.thumbnails import data_uri

CAPTION = (
    "Top row: evaluated images as they are. Below: the same images as the model sees them, one row for each kind of"
    " input. What is missing or too small to recognize there cannot help it."
)

TITLE = "Model input"


def section(run: EvaluatedRun) -> Section:
    """Return the section with the sizes and a few images."""
    images = [] if run.images is None else run.images.images
    median, inputs = sampled_size(images), known_preprocessings(run.settings)
    if median is None:
        return Section(TITLE, note="The images cannot be read, so that their sizes are unknown.")
    image = strip(images, inputs, decoding(run.settings, inputs)) if inputs else None
    parts = [] if image is None else [Picture("Images as the model sees them", data_uri(image), CAPTION)]
    return Section(TITLE, parts, " ".join(sentences(inputs, median)))
