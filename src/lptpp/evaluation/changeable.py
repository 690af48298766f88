"""The settings that an evaluation can change; checked before the model is loaded."""

from collections.abc import Sequence

from lptpp.config import Settings
from lptpp.config.validate import settings_named
from lptpp.utils.errors import UserError
from lptpp.utils.text import either

ADJUSTING = ("views", "prior", "assumed", "temperature")  # settings of the evaluation, and options of predict
CHANGEABLE = (
    "evaluation.", "device=", "workers=", "data.root=", "data.memory_gb=", "data.largest_megapixels=", "data.on_error=",
)  # fmt: skip
COLUMNS = ("image_column", "label_column")  # settings of new images in tables
CHANGEABLE_ON = (*CHANGEABLE, *(f"data.{key}=" for key in COLUMNS))


def check_changeable(overrides: Sequence[str], changeable: tuple[str, ...]) -> None:
    """Raise `UserError` for a setting that cannot change after training."""
    for override in overrides:
        if not _can_change(override, changeable):
            _refuse_short(override, changeable)
            keys = ", ".join(key.rstrip("=") + ("*" if key.endswith(".") else "") for key in changeable)
            raise UserError(f"{override} cannot change after training: evaluate accepts {keys}.")


def _can_change(override: str, changeable: tuple[str, ...]) -> bool:
    return override.startswith(changeable) and not override.startswith("evaluation.keep=")


def _refuse_short(override: str, changeable: tuple[str, ...]) -> None:
    """Raise `UserError` for a setting that could change, given without its section: split for evaluation.split."""
    name, _, value = override.partition("=")
    keys = [key for key in settings_named(Settings, name) if key != name and _can_change(f"{key}=", changeable)]
    if keys:
        raise UserError(f"There is no setting {name}: did you mean {either(f'{key}={value}' for key in keys)}?")
