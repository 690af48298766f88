"""Model input: at what size and in which shape the model sees the images."""

from lptpp.data.prepare import decoding, preprocessings
from lptpp.data.seen import sampled_size, sentences, strip
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Picture, Section
from lptpp.report.thumbnails import data_uri

CAPTION = (
    "Top row: images of the split as they are. Below: the same images as the model sees them, one row for each kind of"
    " input. What is missing or too small to recognize there cannot help it."
)


def section(run: EvaluatedRun) -> Section | None:
    """Return the section with the sizes and a few images; None if the images of the run are missing."""
    if run.images is None or (median := sampled_size(run.images.images)) is None:
        return None
    inputs, how = preprocessings(run.settings), decoding(run.settings)
    image = strip(run.images.images, inputs, how)
    parts = [] if image is None else [Picture("Images as the model sees them", data_uri(image), CAPTION)]
    return Section("Model input", parts, " ".join(sentences(inputs, median)))
