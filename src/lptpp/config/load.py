"""Settings from YAML files and the command line: defaults < file < what the method switches off < key=value."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigTypeError, OmegaConfBaseException, ValidationError
from yaml import YAMLError

from lptpp.config.methods import apply_method
from lptpp.config.schema import Settings, default_experts
from lptpp.config.validate import check_keys, expected, written
from lptpp.utils.errors import UserError, did_you_mean

COMMAND_LINE = "command line"
LOSS_KEYS = ("phase1.main.loss", "phase1.dual.loss", "phase2.main.loss", "phase2.dual.loss")


def load_settings(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Return the settings of a YAML file with `key=value` overrides.

    Raises `UserError` for a missing or broken file, an unknown key (naming its nearest neighbor) or a wrong value.
    """
    given, from_line = _read_both(path, overrides)
    with _told_as_user_error(str(path)):
        settings = _over(OmegaConf.structured(Settings), given)
        if not settings.experts:
            settings.experts = default_experts()
    with _told_as_user_error(COMMAND_LINE):
        known = list(settings.experts)
        settings = _over(settings, {key: from_line[key] for key in ("method", "use_experts") if key in from_line})
        settings = apply_method(settings, settings.method, list(settings.use_experts))
        _check_experts(from_line, known, settings)
        settings = _over(settings, from_line)
    return _finished(settings, str(path))


def saved_settings(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Return the settings that a run wrote down; they are complete, so no method is applied to them again.

    Raises `UserError` as `load_settings` does.
    """
    given, from_line = _read_both(path, overrides)
    with _told_as_user_error(str(path)):
        settings = _merged(_without_options(), given)
    with _told_as_user_error(COMMAND_LINE):
        _check_experts(from_line, list(settings.experts), settings)
        settings = _over(settings, from_line)
    return _finished(settings, str(path))


def to_yaml(settings: Settings) -> str:
    """Return the settings as YAML that `saved_settings` reads back to the same."""
    return OmegaConf.to_yaml(OmegaConf.structured(settings))


def to_dictionary(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain dictionaries, lists, numbers and strings."""
    return OmegaConf.to_container(OmegaConf.structured(settings))  # type: ignore[return-value]


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings under dotted keys, as in phase1.epochs."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _read_both(path: str | Path, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
    """Return what a file and the command line give, all of it under keys that exist."""
    given, from_line = read_yaml(Path(path)), _parse(overrides)
    for content, source in ((given, str(path)), (from_line, COMMAND_LINE)):
        with _told_as_user_error(source):
            check_keys(content, Settings, source)
    return given, from_line


def read_yaml(path: Path, children: tuple[Path, ...] = ()) -> DictConfig:
    """Return what a settings file holds, over the file that it extends; `UserError` for a missing or broken one."""
    if path in children:
        raise UserError(f"Settings file {path} extends itself: remove an 'extends' line.")
    if not path.is_file():
        known = [str(file) for file in sorted(Path("configs").glob("*.yaml"))]
        near = did_you_mean(str(path), known) if known else "give the path of a YAML file."
        raise UserError(f"Settings file {path} does not exist: {near}")
    try:
        content = OmegaConf.load(path)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise UserError(f"Settings file {path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, DictConfig):
        raise UserError(f"Settings file {path} should hold 'key: value' lines.")
    if "extends" not in content:
        return content
    parent = path.parent / str(content.pop("extends"))  # settings that differ in a few keys name the rest
    return OmegaConf.merge(read_yaml(parent, (*children, path)), content)  # type: ignore[return-value]


def _parse(overrides: Sequence[str]) -> DictConfig:
    for override in overrides:
        if "=" not in override.lstrip("="):
            raise UserError(f"Setting {override!r} is not of the form key=value, for example phase1.epochs=5.")
    try:
        return OmegaConf.from_dotlist(list(overrides))
    except (YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"A key=value setting cannot be read: {' '.join(str(error).split())}") from error


def _over(below: Any, above: Any) -> Any:
    """Return `below` with `above` laid over it; where a loss changes, the options of the one before are dropped."""
    for key in LOSS_KEYS:
        name, loss = OmegaConf.select(OmegaConf.create(above), f"{key}.name"), OmegaConf.select(below, key)
        if name not in (None, loss.name):
            loss.options = {}
    return _merged(below, above)


def _merged(below: Any, above: Any) -> Any:
    """Return OmegaConf's merge; what it says as a plain TypeError, without the key, becomes an error of its own."""
    try:
        return OmegaConf.merge(below, above)
    except TypeError as error:
        raise ConfigTypeError("a list stands where key: value pairs belong, or the other way round") from error


def _without_options() -> Any:
    """Return the defaults without options of losses: a dictionary in a complete file says all there is in it."""
    settings: Any = OmegaConf.structured(Settings)
    for key in LOSS_KEYS:
        OmegaConf.select(settings, key).options = {}
    return settings


def _check_experts(from_line: Any, known: list[str], settings: Any) -> None:
    for name in from_line.get("experts", {}):
        if name not in known:
            raise UserError(
                f"{COMMAND_LINE}: there is no expert {name}: {did_you_mean(name, known)} (a settings file can add one)"
            )
        if name not in settings.experts:
            raise UserError(
                f"{COMMAND_LINE}: experts.{name} is set, but method={settings.method} uses only"
                f" {', '.join(settings.experts)}: leave it out, or choose experts with use_experts."
            )


def _finished(settings: Any, source: str) -> Settings:
    with _told_as_user_error(source):
        return OmegaConf.to_object(settings)  # type: ignore[return-value]


@contextmanager
def _told_as_user_error(source: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        key = str(error.full_key)
        raise UserError(f"{source}: {key}={written(error.value)}: expected {expected(Settings, key)}.") from error
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"{source}: {error.full_key or 'a setting'} has a wrong value: {reason}.") from error
