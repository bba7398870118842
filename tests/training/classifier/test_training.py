import numpy as np
import pytest
from PIL import Image
from skimage import data

from dgqa_infer import UsageError
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_training.classifier import training as domains
from dgqa_training.classifier.held_out import held_out_contents
from dgqa_training.loop.loop import Recipe
from dgqa_training.networks import checkpoints
from dgqa_training.synthesis import Settings, plan_set, workers, write_set

SMALL = Preprocessing(id="test-short96-grid1-64", short_side=96, crop=64, grid=1)
CONFIG = domains.ClassifierConfig(
    recipe=Recipe(epochs=1, batch=64, ema=0.5), crop=64, held_out=0.5, preprocessing=SMALL
)


@pytest.fixture
def pristine(tmp_path):
    folder = tmp_path / "pristine"
    folder.mkdir()
    for name in ("chelsea", "coffee"):
        Image.fromarray(getattr(data, name)()[100:196, 100:228]).save(folder / f"{name}.png")
    return folder


def test_no_content_is_both_trained_on_and_kept_back(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}.png").touch()
    trained, kept = domains.split(tmp_path, domains.ClassifierConfig())
    assert len(kept) == 2
    assert sorted(trained + kept) == sorted(tmp_path.iterdir())
    assert domains.split(tmp_path, domains.ClassifierConfig()) == (trained, kept)


def test_too_few_photographs_for_a_report_are_refused(tmp_path):
    (tmp_path / "lonely.png").touch()
    with pytest.raises(UsageError, match="holds 1 photographs"):
        domains.split(tmp_path, domains.ClassifierConfig())


def test_every_class_has_as_many_samples(pristine):
    classes = [int(sample.target) for sample in domains.samples([pristine / "coffee.png"])]
    assert np.bincount(classes).tolist() == [5] * 26


def test_a_trained_classifier_records_what_was_kept_back(pristine, tmp_path):
    domains.train(pristine, CONFIG, tmp_path / "run")
    checkpoint = checkpoints.load(tmp_path / "run" / "domains.safetensors")
    assert checkpoint.task == "domains"
    assert checkpoint.preprocessing == SMALL
    assert set(checkpoint.training["held_out"]) < {"chelsea.png", "coffee.png"}
    assert checkpoint.network().linear.out_channels == 26


def test_images_made_beforehand_serve_as_those_made_in_memory(pristine, tmp_path):
    """Fewer types than all, to be quick; the pristine ones count as often as a type."""
    with workers(1) as run:
        write_set(plan_set(pristine, Settings(types=(1, 7), levels=(2, 5)), run), tmp_path / "set", run)
    trained, kept = domains.split(tmp_path / "set", CONFIG)
    assert {path.name for path in trained + kept} == {"I01.png", "I02.png"}
    material = domains.crops(tmp_path / "set", trained, CONFIG)
    assert sorted(material.target(index) for index in range(len(material))) == [0] * 5 + [1, 1, 7, 7]
    of = {int(material.target(index)): index for index in range(len(material))}
    blurred = material.crop(of[1], np.random.default_rng(0))
    sharp = material.crop(of[0], np.random.default_rng(0))
    assert blurred.shape == (64, 64, 3)
    assert not np.array_equal(blurred, sharp)


def test_a_classifier_trained_from_a_set_is_reported_on_from_that_set(pristine, tmp_path):
    with workers(1) as run:
        write_set(plan_set(pristine, Settings(types=(1,), levels=(4, 5)), run), tmp_path / "set", run)
    checkpoint = domains.train(tmp_path / "set", CONFIG, tmp_path / "run")
    (kept,) = held_out_contents(checkpoint, tmp_path / "set")
    assert kept.parent == tmp_path / "set" / "images"
