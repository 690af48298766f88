"""The typed settings of a run: defaults < YAML file < what the method switches off < key=value."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigTypeError, OmegaConfBaseException, ValidationError
from yaml import YAMLError

from lptpp.config_checks import check
from lptpp.config_keys import check_keys
from lptpp.config_types import expected, written
from lptpp.errors import UserError, did_you_mean
from lptpp.methods import apply_method

COMMAND_LINE = "command line"
LOSS_KEYS = ("phase1.main.loss", "phase1.dual.loss", "phase2.main.loss", "phase2.dual.loss")


@dataclass
class DataSettings:
    """Where the pictures come from and how they are split."""

    source: str = "folder"  # or emoji, list, csv, parquet, huggingface, webdataset, inat2018, cifar10_lt, cifar100_lt
    root: str | None = None  # folder of the pictures; huggingface: a saved data set, or its name at the hub
    class_names: str | None = None  # a file of names, one a line, in the order of the labels
    train_list: str | None = None  # list, csv, parquet, inat2018: a file; webdataset: shards; huggingface: a split
    validation_list: str | None = None  # the same for the validation part
    test_list: str | None = None  # the same for the test part
    image_column: str | None = None  # csv, parquet, huggingface: the pictures; webdataset: a member such as jpg
    label_column: str | None = None  # the same for the labels; webdataset: a member such as cls, or a key of json
    split_column: str | None = None  # csv, parquet: says train, val or test; one called split by default; or none
    factor: float | None = None  # draw the training part down to this imbalance factor; null = leave it, CIFAR: 100
    profile: str = "exponential"  # how the class counts fall then: exponential or step
    validation: float = 0.0  # share of each training class drawn for validation, never its last image
    test: float = 0.2  # share drawn for the test part where the source has none
    split_seed: int = 0  # the draw of validation and test follows from it alone
    on_error: str = "stop"  # stop names all unreadable images; skip leaves them out and lists them in skipped.csv
    largest_megapixels: float = 25.0  # a larger picture counts as unreadable
    memory_gb: float = 2.0  # decoded pictures kept in memory up to this


@dataclass
class AugmentationSettings:
    """What training does to a picture; evaluation does none of it."""

    smallest_crop: float = 0.5  # smallest share of the area a random crop keeps; 1 = no random crop
    flip: bool = True  # mirror half of the pictures; false where that changes what they show, as with letters
    colour: float = 0.0  # strength of brightness, contrast and saturation jitter
    cached_views: int = 0  # crops of each picture that a hybrid's stem sees, once; 0 = a new crop each time


@dataclass
class BackboneSettings:
    """Which frozen ViT an expert stands on."""

    kind: str = "vision"  # vision (timm) or language (open_clip)
    name: str = "vision_lite2"  # bundled: vision_lite2, clip_lite0; or any exact timm / open_clip name
    weights: str | None = None  # language: pretrained tag; both: a local .safetensors file
    image_size: int | None = None  # pixels; the backbone's own by default


@dataclass
class ExpertSettings:
    """One expert: its backbone and the sizes of its parts, each removed by 0."""

    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    shared_prompts: int = 10  # P, for each block
    adapter_width: int = 4  # bottleneck r of the adapters
    adapter_scale: float = 0.1  # s
    group_prompts: int = 10  # P of each group, for each of the last blocks
    pool: int = 20  # m groups
    chosen: int = 2  # k groups an image uses
    group_blocks: int = 6  # K last blocks
    head: str = "class_means"  # what the classifier starts from: class_means, text, random
    templates: list[str] = field(default_factory=lambda: ["a photo of a {}."])  # for head: text
    scale: float = 20.0  # s of softmax(s · cosines)
    learning_rate_factor: float = 1.0  # on the learning rates of phases 1 and 2
    tune_backbone: bool = False  # full fine-tuning: a baseline


@dataclass
class LossSettings:
    """A loss by name, with options of its own (see docs/method.md)."""

    name: str = "a_gcl"  # a_gcl, gcl, cross_entropy, logit_adjustment, ldam, focal, class_balanced
    options: dict[str, float] = field(default_factory=dict)  # such as tau: 1.2; those left out keep their defaults


@dataclass
class StreamSettings:
    """One stream of batches: how images are drawn, what they are judged by, how much that counts."""

    sampler: str = "class_balanced"  # class_balanced, instance_balanced, square_root, effective_number
    loss: LossSettings = field(default_factory=LossSettings)
    weight: float = 1.0  # of its loss; that of a dual stream falls linearly over the epochs; 0 = no dual stream


@dataclass
class PhaseSettings:
    """Phase 1 or 2 of every expert."""

    epochs: int = 10  # each draws as many pictures as the training part holds
    batch_size: int = 128  # pictures of one stream in a step
    optimizer: str = "sgd"  # sgd, adamw
    learning_rate: float = 0.02  # at a batch of 256; scales with the batch
    weight_decay: float = 0.01  # as the optimizer takes it
    warmup_epochs: float = 1.0  # the rate rises over these, may be 0.1, then falls to 0 along a cosine
    main: StreamSettings = field(default_factory=StreamSettings)  # what the phase learns from
    dual: StreamSettings = field(default_factory=lambda: StreamSettings("instance_balanced", weight=0.0))  # beside it
    key_weight: float = 0.5  # of the key-matching term, phase 2


@dataclass
class ScorerSettings:
    """Phase 3: the scorer, on the experts' outputs computed once."""

    epochs: int = 5  # each draws as many outputs as there are, of all views
    batch_size: int = 256  # outputs in a step
    optimizer: str = "adamw"  # sgd, adamw
    learning_rate: float = 0.0002  # gentle: the experts are surer of training images than they should be
    weight_decay: float = 0.01  # as the optimizer takes it
    warmup_epochs: float = 1.0  # as in phases 1 and 2
    sampler: str = "class_balanced"  # as those of the streams
    hidden: int = 256  # width of its hidden layer
    views: int = 4  # augmented views of each training image; 0 = the image as evaluation sees it
    held_back: float = 0.0  # share of each training class that only the scorer learns from, never its last image
    reads: str = "features"  # what the scorer sees of an image: features, logits, both
    mixes: str = "probabilities"  # what the weights are laid on: probabilities, logits


@dataclass
class EvaluationSettings:
    """What the tables at the end are made of."""

    split: str = "test"  # test, or validation while settings are being chosen
    borders: list[int] = field(default_factory=lambda: [20, 100])  # few < 20 <= medium <= 100 < many
    balanced: int = 0  # also print the table on this many test pictures of every class that has as many; 0 = off
    batch_size: int = 64  # pictures judged at once; a CPU is quickest with few, a GPU with many that fit in its memory
    baselines: list[str] = field(default_factory=lambda: ["zero_shot", "linear_probe"])  # extra rows of the table
    each_epoch: bool = False  # also measure the validation part after every epoch, for curves
    views: str = "one"  # one, flip, five_crops: their mean as an extra row (docs/predict.md, as all below)
    prior: str | None = None  # uniform, training, a .csv or .json file: an extra row for these class frequencies
    assumed: str = "auto"  # what the scores assume of them: auto (from sampler and loss), or as prior
    temperature: str = "1"  # a number, or fitted (on the validation part): an extra row with softer probabilities


def _phase2() -> PhaseSettings:
    balanced = LossSettings(options={"positive_focus": 0.0, "negative_focus": 4.0})
    natural = LossSettings(options={"positive_focus": 0.5, "negative_focus": 8.0})
    return PhaseSettings(
        main=StreamSettings("class_balanced", balanced),
        dual=StreamSettings("instance_balanced", natural, 0.5),
    )


@dataclass
class Settings:
    """All settings of a run."""

    run: str = "runs/run"  # the folder that will hold everything
    method: str = "lptpp"  # lptpp, lpt, linear_probe, vpt_deep, adaptformer, full
    use_experts: list[str] = field(default_factory=list)  # names of experts; empty = those the method uses
    seed: int = 0  # every draw, crop and noise of training follows from it
    device: str = "auto"  # auto, cpu, cuda, mps
    precision: str = "auto"  # auto (bf16 where the machine is faster in it), float32, bf16
    workers: int = 0  # loader processes; changes speed, never results
    tracker: str = "none"  # none, tensorboard, wandb: curves while it trains (docs/tracking.md)
    track_every: int = 10  # steps between two lines of history.jsonl, and two points of a tracker
    data: DataSettings = field(default_factory=DataSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    experts: dict[str, ExpertSettings] = field(default_factory=dict)  # by name; empty = visual and language, bundled
    phase1: PhaseSettings = field(default_factory=PhaseSettings)
    phase2: PhaseSettings = field(default_factory=_phase2)
    phase3: ScorerSettings = field(default_factory=ScorerSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def __post_init__(self) -> None:
        check(self)


def default_experts() -> dict[str, ExpertSettings]:
    """Return the two experts of LPT++ on the bundled towers."""
    language = BackboneSettings(kind="language", name="clip_lite0")
    return {"visual": ExpertSettings(), "language": ExpertSettings(backbone=language, head="text")}


def load_settings(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Return the settings of a YAML file with `key=value` overrides.

    Raises `UserError` for a missing or broken file, an unknown key (naming its nearest neighbour) or a wrong value.
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
