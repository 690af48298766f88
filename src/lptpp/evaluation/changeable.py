"""The settings that an evaluation can change; checked before the model is loaded."""

from collections.abc import Sequence

from lptpp.utils.errors import UserError

CHANGEABLE = (
    "evaluation.", "device=", "workers=", "data.root=", "data.memory_gb=", "data.largest_megapixels=", "data.on_error=",
)  # fmt: skip
COLUMNS = ("image_column", "label_column")  # settings of new images in tables
CHANGEABLE_ON = (*CHANGEABLE, *(f"data.{key}=" for key in COLUMNS))


def check_changeable(overrides: Sequence[str], changeable: tuple[str, ...]) -> None:
    """Raise `UserError` for a setting that cannot change after training."""
    for override in overrides:
        if not override.startswith(changeable) or override.startswith("evaluation.keep="):
            keys = ", ".join(key.rstrip("=") + ("*" if key.endswith(".") else "") for key in changeable)
            raise UserError(f"{override} cannot change after training: evaluate accepts {keys}.")
