"""Settings from presets, YAML files and the command line: defaults < file < method < key=value."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException, ValidationError
from yaml import YAMLError

from lptpp.config import resolve
from lptpp.config.methods import apply_method
from lptpp.config.resolve import SETTINGS, is_image_folder, is_run, parent_file, settings_file, settings_of_images
from lptpp.config.run_format import check_format
from lptpp.config.schema import ExpertSettings, Settings, default_experts
from lptpp.config.validate import check_environment, check_keys, check_used, expected, is_setting, written
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.paths import refuse_no_run
from lptpp.utils.text import listed, number_hint
from lptpp.utils.yaml_text import yaml_text

COMMAND_LINE = "command line"
LOSS_KEYS = ("phase1.main.loss", "phase1.dual.loss", "phase2.main.loss", "phase2.dual.loss")


def load_settings(source: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Return the settings of a new or resumed run.

    `source` is a YAML file, the name of a preset, a run folder, or a folder of images, which stands for the preset
    `folder` with its `data.root` and `run`. `overrides` are `key=value`.

    Raises:
        UserError: a missing or broken file, an unknown key (with the nearest known one), a wrong value, or a file or
            library that the settings need and that is missing.
    """
    if is_run(source):
        settings = saved_settings(_config_of(Path(source)), [f"run={source}", *overrides])
    elif is_image_folder(source):
        settings = _new("folder", overrides, settings_of_images(source))
    else:
        settings = _new(source, overrides)
    check_environment(settings)
    return settings


def run_settings(folder: Path, overrides: Sequence[str] = ()) -> Settings:
    """Return the settings that a run folder was made with, with the folder's current path as `run`.

    Raises:
        UserError: it is not a run folder; otherwise as `load_settings`.
    """
    return saved_settings(_config_of(folder), [*overrides, f"run={folder}"])


def saved_settings(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Return the settings in a run's `config.yaml`; they are complete, so the method is not applied again.

    The file may come from someone else: it can neither read other files nor the environment.

    Raises `UserError` as `load_settings`, but does not check that files and libraries exist.
    """
    given, from_line = _checked(_read_file(Path(path)), overrides, str(path))
    _refuse_references(OmegaConf.to_container(given), Path(path), "")
    with _as_user_error(str(path)):
        settings = OmegaConf.unsafe_merge(_without_options(given), given)
    with _as_user_error(COMMAND_LINE):
        _check_experts(from_line, list(settings.experts), settings)
        settings = _over(settings, from_line)
    return _with_used(_finished(settings, str(path)), from_line)


def _config_of(folder: Path) -> Path:
    path = folder / SETTINGS
    refuse_no_run(folder)
    if not path.is_file():
        raise UserError(f"{folder} contains no {SETTINGS}: it is not a run folder written by `lptpp fit`.")
    check_format(folder)
    return path


def _new(source: str | Path, overrides: Sequence[str], added: Any = None) -> Settings:
    path = settings_file(source)
    given, from_line = _read_both(path, overrides)
    given = given if added is None else OmegaConf.merge(given, added)  # type: ignore[assignment]
    with _as_user_error(str(path)):
        settings = _over(_defaults(given), given)
        if not settings.experts:
            settings.experts = default_experts()
    with _as_user_error(COMMAND_LINE):
        known = list(settings.experts)
        settings = _over(settings, OmegaConf.masked_copy(from_line, ["method", "use_experts"]))
        settings = apply_method(settings, settings.method, list(settings.use_experts))
        _check_experts(from_line, known, settings)
        settings = _over(settings, from_line)
    return _with_used(_finished(settings, str(path)), _of_user(path), added or {}, from_line)


def _with_used(settings: Settings, *given: Any) -> Settings:
    """Return the settings after checking that the source reads all data settings that the user gave."""
    merged: Any = OmegaConf.merge(*({"data": one.get("data") or {}} for one in given))
    check_used(OmegaConf.to_container(merged.data), settings.data)  # type: ignore[arg-type]
    return settings


def _of_user(path: Path) -> Any:
    """Return the content of a settings file and of those that it extends, without presets."""
    if path.parent == resolve.FOLDER:
        return OmegaConf.create()
    content: Any = OmegaConf.load(path)
    parent = content.get("extends")
    return content if parent is None else OmegaConf.merge(_of_user(parent_file(path, str(parent))), content)


def to_yaml(settings: Settings) -> str:
    """Return the settings as YAML; `saved_settings` reads back equal settings."""
    return yaml_text(asdict(settings))


def to_dictionary(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain dictionaries, lists, numbers and strings."""
    return asdict(settings)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings under dotted keys, as in phase1.epochs."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _read_both(path: Path, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
    """Return the content of a file and of the command line, after checking that all keys exist."""
    return _checked(read_yaml(path), overrides, str(path))


def _checked(given: DictConfig, overrides: Sequence[str], path: str) -> tuple[DictConfig, DictConfig]:
    from_line = _parse(overrides)
    for content, source in ((given, path), (from_line, COMMAND_LINE)):
        with _as_user_error(source):
            _refuse_other_yaml(content, source)
            check_keys(content, Settings, source)
    return given, from_line


def _refuse_references(content: Any, path: Path, key: str) -> None:
    """Raise `UserError` if saved settings refer to other values, such as ${oc.env:HOME}, at any depth."""
    if isinstance(content, Mapping | list):
        for name, value in content.items() if isinstance(content, Mapping) else enumerate(content):
            _refuse_references(value, path, f"{key}.{name}" if key else str(name))
    elif isinstance(content, str) and "${" in content:
        raise UserError(f"{path}: {key}={content}: settings of a trained run cannot refer to other values (${{…}}).")


def _refuse_other_yaml(content: DictConfig, source: str) -> None:
    """Raise `UserError` for a YAML file without any setting, which has another purpose."""
    keys = [str(key) for key in content]
    if source != COMMAND_LINE and len(keys) > 1 and not {one.name for one in fields(Settings)} & set(keys):
        raise UserError(
            f"{source} is a YAML file, but not a settings file of lptpp: it has the keys {listed(keys, 5)}. Pass a"
            " folder of images, a preset (`lptpp presets`), or a file written by `lptpp init`."
        )


def read_yaml(path: Path, children: tuple[Path, ...] = ()) -> DictConfig:
    """Return the content of a settings file, merged over the file that it extends.

    Raises:
        UserError: the file or one that it extends is missing or broken.
    """
    if path in children:
        raise UserError(f"Settings file {path} extends itself: remove an 'extends' line.")
    content = _read_file(path)
    if "extends" not in content:
        return content
    parent = parent_file(path, str(content.pop("extends")))  # the settings that this file does not change
    return OmegaConf.unsafe_merge(read_yaml(parent, (*children, path)), content)  # type: ignore[return-value]


def _read_file(path: Path) -> DictConfig:
    """Return the content of one YAML file; raises `UserError` if it is missing or broken."""
    if not path.is_file():
        raise UserError(f"Settings file {path} does not exist.")
    try:
        content = OmegaConf.load(path)
    except (YAMLError, OmegaConfBaseException, ValueError, OSError) as error:  # a wrong date, bare text
        raise UserError(f"Settings file {path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, DictConfig):
        raise UserError(f"Settings file {path}: expected 'key: value' lines.")
    return content


def _parse(overrides: Sequence[str]) -> DictConfig:
    for override in overrides:
        if "=" not in override.lstrip("="):
            meant = f"data.root={override}" if Path(override).is_dir() else "phase1.epochs=5"
            raise UserError(f"Setting {override!r}: expected key=value, for example {meant}.")
    try:
        return OmegaConf.from_dotlist(list(overrides))
    except (YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"A key=value setting cannot be read: {' '.join(str(error).split())}") from error


def _over(below: Any, above: DictConfig) -> Any:
    """Return `below`, changed in place, overridden by `above`; a loss of another name does not inherit the options."""
    for key in LOSS_KEYS:
        name, loss = OmegaConf.select(above, f"{key}.name"), OmegaConf.select(below, key)
        if name not in (None, loss.name):
            loss.options = {}
    return OmegaConf.unsafe_merge(below, above)  # `merge` copies all of `below`, 6 ms each time


def _defaults(given: Any) -> Any:
    """Return a new copy of the default settings, with the experts that `given` names: a merge is slow to make them."""
    settings = deepcopy(_structured(Settings))
    with flag_override(settings.experts, "no_deepcopy_set_nodes", True):
        settings.experts.update({name: deepcopy(_structured(ExpertSettings)) for name in given.get("experts") or {}})
    return settings


@cache
def _structured(schema: type) -> DictConfig:
    return OmegaConf.structured(schema)


def _without_options(given: Any) -> Any:
    """Return the defaults without options of losses: a saved file is complete."""
    settings = _defaults(given)
    for key in LOSS_KEYS:
        OmegaConf.select(settings, key).options = {}
    return settings


def _check_experts(from_line: Any, known: list[str], settings: Any) -> None:
    for name in from_line.get("experts", {}):
        if name not in known:
            raise UserError(
                f"{COMMAND_LINE}: there is no expert {name}: {did_you_mean(name, known)} Settings files can add one."
            )
        if name not in settings.experts:
            raise UserError(
                f"{COMMAND_LINE}: experts.{name} is set, but method={settings.method} uses only"
                f" {', '.join(settings.experts)}: remove the setting, or select experts with use_experts."
            )


def _finished(settings: Any, source: str) -> Settings:
    with _as_user_error(source):
        return OmegaConf.to_object(settings)  # type: ignore[return-value]


@contextmanager
def _as_user_error(source: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        key = str(error.full_key)
        several = isinstance(error.value, list | ListConfig) and is_setting(Settings, f"{key}s")
        wanted = expected(Settings, key) + (f"; for several, set {key}s" if several else "")
        hint = number_hint(error.value) if isinstance(error.value, str) and wanted.startswith("a number") else ""
        raise UserError(f"{source}: {key}={written(error.value)}: expected {wanted}{hint}.") from error
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"{source}: {error.full_key or 'a setting'} has a wrong value: {reason}.") from error
