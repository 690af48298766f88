import json

import numpy as np
import pytest
import torch

from lptpp.config import LossSettings, StreamSettings
from lptpp.evaluation.prior import assumed_prior, expected_prior, read_prior, reweighed, trained_prior
from lptpp.utils.errors import UserError

NAMES = ["cat", "dog, brown", "emu"]
COUNTS = np.array([6, 3, 1])


def test_reweighing_is_bayes_rule_with_another_prior():
    generator = np.random.default_rng(0)
    likelihood = generator.dirichlet(np.ones(5), size=3)  # p(x|c): (C, x)
    assumed, expected = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.2, 0.6])

    def posterior(prior: np.ndarray) -> np.ndarray:
        joint = np.array([[likelihood[c, x] * prior[c] for c in range(3)] for x in range(5)])
        return joint / joint.sum(1, keepdims=True)  # (x, C)

    found = reweighed(torch.from_numpy(posterior(assumed)), expected, assumed)
    np.testing.assert_allclose(found.numpy(), posterior(expected), rtol=1e-9)
    assert not np.allclose(posterior(expected), posterior(assumed), atol=0.05)


def test_a_class_that_cannot_occur_gets_nothing_and_the_others_share_its_part():
    found = reweighed(torch.tensor([[0.5, 0.25, 0.25]]), np.array([0, 0.5, 0.5]), np.ones(3) / 3)
    np.testing.assert_allclose(found.numpy(), [[0, 0.5, 0.5]], atol=1e-6)


def test_named_priors_count_a_class_without_an_image_as_one():
    np.testing.assert_allclose(expected_prior("uniform", NAMES, np.array([6, 3, 0])), np.ones(3) / 3)
    np.testing.assert_allclose(expected_prior("training", NAMES, np.array([6, 3, 0])), [0.6, 0.3, 0.1])


@pytest.mark.parametrize(
    "sampler, loss, tau, wanted",
    [
        ("instance_balanced", "cross_entropy", None, [0.6, 0.3, 0.1]),
        ("instance_balanced", "logit_adjustment", None, [1 / 3, 1 / 3, 1 / 3]),
        ("instance_balanced", "logit_adjustment", 0.5, [6**0.5, 3**0.5, 1]),
        ("class_balanced", "a_gcl", None, [1 / 3, 1 / 3, 1 / 3]),
        ("class_balanced", "logit_adjustment", None, [1 / 6, 1 / 3, 1]),
        ("square_root", "a_gcl", None, [6**0.5, 3**0.5, 1]),
        ("instance_balanced", "class_balanced", None, [6 / (1 - 0.9999**6), 3 / (1 - 0.9999**3), 1 / (1 - 0.9999)]),
    ],
)
def test_what_the_scores_assume_follows_from_sampler_and_loss(sampler, loss, tau, wanted):
    stream = StreamSettings(sampler, LossSettings(loss, {} if tau is None else {"tau": tau}))
    np.testing.assert_allclose(trained_prior(stream, COUNTS), np.array(wanted) / sum(wanted))


def test_the_stream_that_counts_is_the_one_that_trained_the_last_classifier(settings_of, tmp_path):
    whole = settings_of(tmp_path, "phase1.main.sampler=instance_balanced")
    flat = settings_of(tmp_path, "method=vpt_deep")  # no phase 2; instance-balanced cross-entropy
    np.testing.assert_allclose(assumed_prior("auto", NAMES, COUNTS, whole), np.ones(3) / 3)
    np.testing.assert_allclose(assumed_prior("auto", NAMES, COUNTS, flat), [0.6, 0.3, 0.1])
    np.testing.assert_allclose(assumed_prior("uniform", NAMES, COUNTS, flat), np.ones(3) / 3)


CSV = 'class,frequency\ncat,2\n"dog, brown",1e0\nemu,1\n'


@pytest.mark.parametrize(
    "name, text",
    [
        ("p.csv", CSV),
        ("p.csv", "\ufeff" + CSV.split("\n", 1)[1]),
        ("p.JSON", json.dumps({"emu": 0.25, "cat": 0.5, "dog, brown": 0.25})),
    ],
)
def test_frequencies_are_read_in_the_order_of_the_classes(name, text, tmp_path):
    (tmp_path / name).write_text(text, encoding="utf-8")
    np.testing.assert_allclose(read_prior(tmp_path / name, NAMES), [0.5, 0.25, 0.25])


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("p.csv", "cat,1\ndgo,1\n", r"p\.csv.*'dgo'.*cat, dog, brown, emu"),
        ("p.csv", "cat,1\ncats,1\n", "Did you mean cat "),
        ("p.csv", "cat,1\n", r"p\.csv.* dog, brown, emu"),
        ("p.csv", "cat,1\nemu,many\n", "p.csv.*'emu'.*'many'"),
        ("p.csv", "cat,1\nemu,-1\n", r"p\.csv.*'emu'.*-1\.0"),
        ("p.csv", "cat,1\nemu,nan\n", "p.csv.*'emu'.*nan"),
        ("p.csv", "cat,1\ncat,2\n", "p.csv.*'cat'"),
        ("p.csv", "cat,1\ndog, brown,1\n", "p.csv.*'dog, brown,1'.*`class,frequency`"),
        ("p.csv", "", r"p\.csv.* 0"),
        ("p.json", '{"cat": 0, "dog, brown": 0, "emu": 0}', r"p\.json.* 0"),
        ("p.json", '{"cat": "1"}', "p.json.*'cat'.*'1'"),
        ("p.json", "[1, 2]", r"p\.json: .*object"),
        ("p.json", "{", r"p\.json.*line 1"),
    ],
)
def test_a_file_that_gives_no_prior_is_refused(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read_prior(tmp_path / name, NAMES)


def test_a_missing_file_and_an_impossible_assumption_are_refused(settings_of, tmp_path):
    with pytest.raises(UserError, match=r"unifrom.*uniform.*training"):
        expected_prior("unifrom", NAMES, COUNTS)
    (tmp_path / "p.csv").write_text('cat,1\n"dog, brown",0\nemu,1\n')
    with pytest.raises(UserError, match=r"p\.csv.*dog, brown.* 0"):
        assumed_prior(str(tmp_path / "p.csv"), NAMES, COUNTS, settings_of(tmp_path))
