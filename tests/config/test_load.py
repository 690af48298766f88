import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from lptpp.config import load_settings, saved_settings, to_dictionary, to_yaml
from lptpp.config.methods import METHODS
from lptpp.utils.errors import UserError
from tests import golden

OWN = ["visual", "language"]


def written(tmp_path: Path, text: str = "") -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return path


def refused(path: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as error:
        load_settings(path, overrides)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def sentence(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return what key=value settings over an empty file are refused with; several tests look at the same ones."""
    path = written(tmp_path_factory.mktemp("empty"))
    return cache(lambda overrides: refused(path, *overrides.split()))


WRONG_KEYS = [
    ("phse1: {epochs: 3}", "phse1", ["phase1", "phase2"]),
    ("phase1: {epoch: 3}", "phase1.epoch", ["phase1.epochs"]),
    ("phase2: {main: {samplr: class_balanced}}", "phase2.main.samplr", ["phase2.main.sampler"]),
    ("phase2: {main: {loss: {nam: a_gcl}}}", "phase2.main.loss.nam", ["phase2.main.loss.name"]),
    ("experts: {visual: {num_group: 3}}", "experts.visual.num_group", ["experts.visual.num_groups"]),
    (
        "experts: {visual: {backbone: {weigths: x}}}",
        "experts.visual.backbone.weigths",
        ["experts.visual.backbone.weights"],
    ),
    ("epochs: 3", "epochs", ["phase1.epochs", "phase2.epochs", "phase3.epochs"]),
    ("num_groups: 3", "num_groups", ["experts.NAME.num_groups"]),
    ("xyz: 3", "xyz", ["run", "method"]),
]


@pytest.mark.parametrize("text, key, proposals", WRONG_KEYS, ids=[key for _, key, _ in WRONG_KEYS])
def test_a_wrong_key_is_named_with_its_path_and_the_nearest_right_ones(text, key, proposals, sentence, tmp_path):
    path = written(tmp_path, text)
    for message, source in ((refused(path), path), (sentence(f"{key}=3"), "command line")):
        assert message.startswith(f"{source}: ")
        assert f" {key}: " in message
        assert all(proposal in message for proposal in proposals)


WRONG_TYPES = [  # override, key
    ("phase1.epochs=many", "phase1.epochs"),
    ("phase1.epochs=1.5", "phase1.epochs"),
    ("seed=", "seed"),
    ("data.memory_gb=[1]", "data.memory_gb"),
    ("augmentation.flip=perhaps", "augmentation.flip"),
    ("data.root=[1]", "data.root"),
    ("experts.visual.backbone.image_size=x", "experts.visual.backbone.image_size"),
    ("evaluation.shot_thresholds=20", "evaluation.shot_thresholds"),
    ("evaluation.shot_thresholds=[a,b]", "evaluation.shot_thresholds[0]"),
    ("experts.visual.num_groups=x", "experts.visual.num_groups"),
    ("phase2.main.loss.options.margin=wide", "phase2.main.loss.options.margin"),
    ("phase2.main.loss.options=3", "phase2.main.loss.options"),
    ("phase2.main.loss.options=[1]", "phase2.main.loss.options"),
    ("evaluation.shot_thresholds={a:1}", "evaluation.shot_thresholds"),
    ("use_experts=visual", "use_experts"),
    ("data=3", "data"),
    ("phase2=", "phase2"),
    ("experts=3", "experts"),
    ("experts.visual=3", "experts.visual"),
    ("experts.visual.num_groups=${nowhere}", "experts.visual.num_groups"),
    ("data.label_column=[A,B]", "data.label_column"),
]


@pytest.mark.parametrize("override, key", WRONG_TYPES)
def test_a_value_of_another_type_is_refused_by_its_key(override, key, sentence):
    message = sentence(override)
    assert message.startswith((f"command line: {key} ", f"command line: {key}="))


def test_an_option_of_a_loss_is_one_number(tmp_path):
    assert refused(written(tmp_path), "phase2.main.loss.options.margin=[1]").startswith(
        "phase2.main.loss.options.margin=[1]: "
    )


def test_a_wrong_type_below_a_name_with_a_dot_is_refused_by_its_key(tmp_path):
    assert "experts.a.b.num_groups=x" in refused(written(tmp_path, "experts: {a.b: {num_groups: x}}\n"))


def test_a_wrong_type_in_a_file_names_the_file(tmp_path):
    path = written(tmp_path, "phase1: {epochs: many}")
    assert refused(path).startswith(f"{path}: phase1.epochs=many: ")


OUT_OF_RANGE = [
    "device=gpu",
    "precision=fp16",
    "workers=-1",
    "workers=true",
    "method=ltp",
    "tracker=comet",
    "track_every=0",
    "data.source=foldr",
    "data.on_error=ignore",
    "data.profile=exp",
    "data.validation=1",
    "data.test=20",
    "data.test=-0.1",
    "data.factor=0.5",
    "data.largest_megapixels=0",
    "data.memory_gb=-1",
    "data.memory_gb=.nan",
    "augmentation.smallest_crop=0",
    "augmentation.color=2",
    "experts.visual.backbone.kind=visio",
    "experts.visual.head=txt",
    "experts.visual.mean_images=-1",
    "experts.visual.mean_images=all",
    "experts.visual.mean_images=1e3",
    "experts.visual.shared_prompts=-1",
    "experts.visual.adapter_width=-1",
    "experts.visual.group_prompts=-1",
    "experts.visual.num_groups=0",
    "experts.visual.top_k=0",
    "experts.visual.top_k=21",
    "experts.visual.group_blocks=0",
    "experts.visual.scale=0",
    "experts.visual.learning_rate_factor=-1",
    "experts.visual.head=text",
    "experts.language.templates=[]",
    "experts.visual.tune_backbone=true",
    "experts.visual.templates=[image]",
    "experts.visual.backbone.image_size=0",
    "phase1.optimizer=adam",
    "phase1.epochs=0",
    "phase2.batch_size=0",
    "phase1.learning_rate=-1",
    "phase2.weight_decay=-1",
    "phase1.warmup_epochs=-1",
    "phase1.main.sampler=class",
    "phase2.dual.sampler=balanced",
    "phase1.main.loss.name=a-gcl",
    "phase2.main.loss.options.gama=2",
    "phase2.main.loss.options.smoothing=2",
    "phase2.main.loss.options.margin=.nan",
    "phase1.dual.weight=.nan",
    "phase1.main.weight=-1",
    "phase2.dual.weight=-1",
    "phase3.optimizer=adam",
    "phase3.epochs=0",
    "phase3.sampler=class",
    "phase3.views=-1",
    "phase3.hidden=0",
    "phase3.held_back=1",
    "phase3.reads=images",
    "phase3.mixes=features",
    "evaluation.views=flips",
    "evaluation.temperature=0",
    "evaluation.temperature=warm",
    "evaluation.balanced=-1",
    "evaluation.split=train",
    "evaluation.batch_size=0",
    "evaluation.baselines=[zero]",
    "evaluation.shot_thresholds=[100,20]",
    "evaluation.shot_thresholds=[20]",
    "evaluation.shot_thresholds=[0,5]",
    "evaluation.shot_thresholds=[1,2,3]",
]


@pytest.mark.parametrize("override", OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_by_its_key(override, sentence):
    assert override.split("=")[0] in sentence(override).split(" ")[0]


@pytest.mark.parametrize("override", ["phase1", "=5", "", "phase1.epochs"])
def test_an_override_must_be_key_value(override, tmp_path):
    assert "key=value" in refused(written(tmp_path), override)


@pytest.mark.parametrize("text", ["phase1: {epochs: 3", "phase1:\n\tepochs: 3", "a: b: c", "run: x\nrun: y"])
def test_broken_yaml_is_told_with_its_file(text, tmp_path):
    path = written(tmp_path, text)
    assert refused(path).startswith(f"Settings file {path} is not valid YAML")


def test_a_list_is_no_settings_file(tmp_path):
    assert "'key: value'" in refused(written(tmp_path, "- a\n- b"))


def test_an_empty_file_is_all_defaults(tmp_path):
    settings = load_settings(written(tmp_path))
    assert (settings.method, list(settings.experts), settings.phase1.epochs) == ("lptpp", OWN, 10)


def test_a_file_goes_over_the_one_that_it_extends(tmp_path):
    (tmp_path / "parent.yaml").write_text("seed: 1\nphase1: {epochs: 3, batch_size: 4}")
    settings = load_settings(written(tmp_path, "extends: parent.yaml\nphase1: {epochs: 5}"))
    assert (settings.seed, settings.phase1.epochs, settings.phase1.batch_size) == (1, 5, 4)


def test_a_file_that_extends_itself_is_refused(tmp_path):
    assert "extends" in refused(written(tmp_path, "extends: settings.yaml"))


def test_the_command_line_goes_over_the_method_over_the_file_over_the_defaults(tmp_path):
    path = written(tmp_path, "seed: 3\nexperts: {visual: {adapter_width: 7, num_groups: 9}}\nmethod: lptpp")
    default, given = load_settings(written(tmp_path)), load_settings(path)
    assert (default.seed, default.experts["visual"].num_groups, default.experts["visual"].adapter_width) == (0, 20, 4)
    path.write_text("seed: 3\nexperts: {visual: {adapter_width: 7, num_groups: 9}}")
    given = load_settings(path)
    assert (given.seed, given.experts["visual"].num_groups, given.experts["visual"].adapter_width) == (3, 9, 7)
    method = load_settings(path, ["method=lpt"])
    assert (method.seed, method.experts["visual"].num_groups, method.experts["visual"].adapter_width) == (3, 9, 0)
    line = load_settings(path, ["method=lpt", "experts.visual.adapter_width=5", "seed=4"])
    assert (line.seed, line.experts["visual"].num_groups, line.experts["visual"].adapter_width) == (4, 9, 5)


def test_a_method_named_in_the_file_counts_as_one_on_the_command_line(tmp_path):
    assert load_settings(written(tmp_path, "method: lpt")) == load_settings(written(tmp_path, ""), ["method=lpt"])


@pytest.mark.parametrize("name", ["phase1.main", "phase2.main", "phase2.dual"])
@pytest.mark.parametrize("layer", ["file", "command line"])
def test_another_loss_does_not_inherit_the_options_of_the_one_before(name, layer, tmp_path):
    phase, stream = name.split(".")
    text = f"{phase}: {{{stream}: {{loss: {{name: focal}}}}}}"
    path = written(tmp_path, text if layer == "file" else "")
    settings = load_settings(path, [] if layer == "file" else [f"{name}.loss.name=focal"])
    loss = getattr(getattr(settings, phase), stream).loss
    assert (loss.name, loss.options) == ("focal", {})


def test_options_go_over_those_of_the_same_loss(tmp_path):
    settings = load_settings(written(tmp_path), ["phase2.dual.loss.options.margin=0.3"])
    assert settings.phase2.dual.loss.options == {"positive_focus": 0.5, "negative_focus": 8.0, "margin": 0.3}
    settings = load_settings(written(tmp_path), ["phase2.main.loss.name=focal", "phase2.main.loss.options.focus=1"])
    assert settings.phase2.main.loss.options == {"focus": 1.0}


def test_an_expert_that_does_not_exist_cannot_be_set(tmp_path):
    message = refused(written(tmp_path), "experts.visul.num_groups=3")
    assert message.startswith("command line: ")
    assert "visul:" in message and "visual" in message


def test_an_expert_that_the_method_does_not_use_cannot_be_set(tmp_path):
    message = refused(written(tmp_path), "method=lpt", "experts.language.num_groups=3")
    assert all(word in message for word in ("experts.language", "method=lpt", "only visual"))
    message = refused(written(tmp_path), "use_experts=[language]", "experts.visual.num_groups=3")
    assert all(word in message for word in ("experts.visual", "method=lptpp", "only language"))


def test_a_file_may_name_experts_of_its_own(tmp_path):
    path = written(tmp_path, "experts: {fine-grained_2: {num_groups: 7}, b: {}}")
    settings = load_settings(path, ["experts.b.num_groups=8"])
    assert {name: expert.num_groups for name, expert in settings.experts.items()} == {"fine-grained_2": 7, "b": 8}


@pytest.mark.parametrize("name", ["a.b", "a/b", "two words", "é", "", "a:b", "[x]", "_x"])
def test_the_name_of_an_expert_is_one_plain_word(name, tmp_path):
    assert refused(written(tmp_path, f"experts: {{{name!r}: {{num_groups: 7}}}}")).startswith(f"experts.{name}: ")


@pytest.mark.parametrize("name", ["train", "items", "keys", "training", "forward"])
def test_the_name_of_an_expert_is_none_of_pytorchs_words(name, tmp_path):
    assert refused(written(tmp_path, f"experts: {{{name}: {{}}}}")).startswith(f"experts.{name}: PyTorch")


@pytest.mark.parametrize(
    "overrides",
    [
        *([f"method={method}"] for method in METHODS),
        ["method=lpt", "experts.visual.adapter_width=8"],
        ["method=linear_probe", "phase1.main.loss.name=focal", "phase1.dual.weight=0.2"],
        ["phase2.main.loss.name=focal", "phase2.main.loss.options.focus=3"],
        ["use_experts=[language]", "data.root=a b", "evaluation.shot_thresholds=[5,50]"],
        ["experts.language.templates=['a {}: photo.', 'ein Foß \"{}\"']"],
    ],
    ids=" ".join,
)
def test_what_a_run_writes_down_is_read_back_the_same(overrides, tmp_path):
    settings = load_settings(written(tmp_path), overrides)
    saved = tmp_path / "config.yaml"
    saved.write_text(to_yaml(settings), encoding="utf-8")
    assert saved_settings(saved) == settings
    assert to_dictionary(saved_settings(saved)) == to_dictionary(settings)
    assert saved_settings(saved, ["seed=9"]).seed == 9


def test_text_that_looks_like_something_else_stays_text(tmp_path):
    settings = load_settings(written(tmp_path))
    settings.data.label_columns = [
        "1e5", "1e-3", "1.e+3", ".5", "+12", "1_0", "0x1f", "0o17", "0b1", "017", "1:30", "1e400", "nan", "-.inf",
        "yes", "on", "True", "null", "~", "", "=", "<<", "2020-01-01", "a: b", "# a", "- a", "é", " a ", "a\nb",
        "long " * 60,
    ]  # fmt: skip
    saved = tmp_path / "config.yaml"
    saved.write_text(to_yaml(settings), encoding="utf-8")
    assert saved_settings(saved).data.label_columns == settings.data.label_columns


def test_dropped_options_stay_dropped_in_what_a_run_writes_down(tmp_path):
    path = written(tmp_path, "phase2: {dual: {loss: {name: focal}}}")
    settings = load_settings(path, ["phase2.dual.loss.name=a_gcl"])
    assert settings.phase2.dual.loss.options == {}
    saved = tmp_path / "config.yaml"
    saved.write_text(to_yaml(settings))
    assert saved_settings(saved) == settings


def test_the_settings_of_a_run_are_checked_as_others(tmp_path):
    saved = tmp_path / "config.yaml"
    saved.write_text(to_yaml(load_settings(written(tmp_path), ["method=lpt"])))
    for override, words in (
        ("experts.language.num_groups=3", "no expert language"),
        ("phase1.epoch=3", "no setting"),
    ):
        with pytest.raises(UserError, match=words):
            saved_settings(saved, [override])


@pytest.mark.parametrize(
    "key, value",
    [
        ("experts.visual.backbone.weights", "gone.safetensors"),
        ("experts.language.backbone.weights", "gone.safetensors"),
        ("evaluation.prior", "gone.csv"),
        ("evaluation.assumed", "gone.json"),
    ],
)
def test_a_file_that_is_not_there_is_refused_at_once_but_a_finished_run_stays_readable(key, value, tmp_path):
    path = written(tmp_path)
    assert refused(path, f"{key}={value}").startswith(f"{key}={value}: ")
    saved = tmp_path / "config.yaml"
    saved.write_text(to_yaml(load_settings(path)))
    assert list(saved_settings(saved, [f"{key}={value}"]).experts) == OWN
    (tmp_path / value).touch()
    assert load_settings(path, [f"{key}={tmp_path / value}"]).experts


def test_a_prior_is_a_word_or_a_file(tmp_path):
    path = written(tmp_path)
    for word in ("uniform", "training"):
        assert load_settings(path, [f"evaluation.prior={word}", f"evaluation.assumed={word}"]).evaluation.prior == word
    assert refused(path, "evaluation.prior=unifrm").startswith("evaluation.prior=unifrm: ")


def test_a_library_that_is_not_installed_is_named_at_once(tmp_path, monkeypatch):
    for name in ("wandb", "tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
        assert f'"lptpp[{name}]"' in refused(written(tmp_path), f"tracker={name}")


def test_the_sentences_for_wrong_settings(sentence):
    """Keep what a user reads in one file: tests/golden/settings_errors.txt."""
    overrides = [f"{key}=3" for _, key, _ in WRONG_KEYS]
    overrides += [override for override, _ in WRONG_TYPES] + OUT_OF_RANGE
    overrides += ["phase1", "evaluation.prior=gone.csv", "experts.visual.backbone.weights=gone.safetensors"]
    overrides += ["use_experts=[visul]", "method=lpt experts.language.num_groups=3", "experts.visul.scale=3"]
    lines = [f"{override}\n  {sentence(override)}" for override in overrides]
    golden.check("settings_errors", "\n".join(lines) + "\n")
