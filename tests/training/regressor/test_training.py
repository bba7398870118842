import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from dgqa_infer import UsageError
from dgqa_infer.bundle.card import Calibration
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_training.labels.score_scale import link
from dgqa_training.loop.crops import Crops
from dgqa_training.loop.recipe import Recipe
from dgqa_training.loop.run_folder import digest_of_names
from dgqa_training.networks import checkpoints
from dgqa_training.regressor import training as regressor
from dgqa_training.regressor.training import RegressorConfig

SMALL = Preprocessing(id="test-short96-grid1-64", short_side=96, crop=64, grid=1)
PROBE = RegressorConfig(types=(1, 10), levels=(2, 5), recipe=Recipe(epochs=0), preprocessing=SMALL)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pristine")
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(getattr(data, name)()[100:196, 100:228]).save(folder / f"{name}.png")
    (folder / "readme.txt").write_text("not a photograph")
    return folder


def test_samples_of_photographs_have_kadids_mean_labels(pristine, shared_data):
    samples, facts = regressor.samples_of(pristine, PROBE)
    names = digest_of_names([pristine / f"{name}.png" for name in ("astronaut", "chelsea", "coffee")])
    assert facts == {"contents": 3, "names_digest": names, "labels": "kadid-mean"}
    assert len(samples) == 3 * (1 + 2 * 2)
    with (shared_data / "labels" / "kadid10k.csv").open() as file:
        rows = [(row["dist_name"], float(row["dmos"])) for row in csv.DictReader(file)]
    scores = [score for _, score in rows]
    blurred = np.mean([score for name, score in rows if name.endswith("_01_05.png")])
    wanted = 10 * (blurred - min(scores)) / (max(scores) - min(scores))
    found = {(s.type, s.level): s.target for s in samples.samples}
    assert found[1, 5] == pytest.approx(wanted, abs=1e-3)
    assert found[0, 0] == 10


def test_a_set_in_kadids_layout_is_read_with_labels_scaled_over_all_of_it(tmp_path):
    (tmp_path / "images").mkdir()
    rows = [("I01_01_01.png", 4.5), ("I01_02_01.png", 1.5), ("I01_10_05.png", 3.0)]
    for name in ("I01.png", *(name for name, _ in rows)):
        Image.fromarray(data.coffee()[:96, :96]).save(tmp_path / "images" / name)
    with (tmp_path / "dmos.csv").open("w") as file:
        file.write("dist_img,ref_img,dmos,var\n" + "".join(f"{n},I01.png,{d},0.1\n" for n, d in rows))
    config = RegressorConfig(types=(1, 10), recipe=Recipe(epochs=0), preprocessing=SMALL)
    samples, facts = regressor.samples_of(tmp_path, config)
    # Type 2 is left out, but its 1.5 still is the bottom of the scale.
    assert [samples.target(index) for index in range(len(samples))] == [10.0, 5.0]
    assert facts["contents"] == 1


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(UsageError, match="neither photographs nor a set"):
        regressor.samples_of(tmp_path, PROBE)


def test_a_probe_knows_sharp_from_blurred(pristine, tmp_path):
    samples, facts = regressor.samples_of(pristine, PROBE)
    regressor.train(samples, PROBE, tmp_path, facts)
    checkpoint = checkpoints.load(tmp_path / "regressor.safetensors")
    assert checkpoint.training["plan"]["types"] == [1, 10]
    network = checkpoint.network()
    crops = {
        case: torch.stack(
            [torch.tensor(samples.crop(5 * i + case, np.random.default_rng(0))) for i in range(3)]
        )
        for case in (0, 2)
    }
    with torch.no_grad():
        sharp, blurred = (network(crops[case])["quality"] for case in (0, 2))
    assert (sharp > blurred).all()


def test_a_probe_is_the_same_whether_tuning_would_average_or_not(pristine, tmp_path):
    samples, facts = regressor.samples_of(pristine, PROBE)
    averaging = replace(PROBE, recipe=replace(PROBE.recipe, ema=0.9))
    plain = regressor.train(samples, PROBE, tmp_path / "plain", facts).tensors
    averaged = regressor.train(samples, averaging, tmp_path / "averaged", facts).tensors
    assert all(torch.equal(averaged[name], value) for name, value in plain.items())


def test_as_many_photographs_of_other_names_are_another_run(pristine, tmp_path):
    others = tmp_path / "others"
    others.mkdir()
    for path in pristine.glob("*.png"):
        (others / f"other-{path.name}").write_bytes(path.read_bytes())
    samples, facts = regressor.samples_of(pristine, PROBE)
    regressor.train(samples, PROBE, tmp_path / "run", facts)
    samples, facts = regressor.samples_of(others, PROBE)
    with pytest.raises(UsageError, match="another names_digest"):
        regressor.train(samples, PROBE, tmp_path / "run", facts)


def test_the_record_says_what_scores_mean(pristine, tmp_path):
    """The second opinion is the link of what the network says of each sample's crops."""
    samples, facts = regressor.samples_of(pristine, PROBE)
    trained = regressor.train(samples, PROBE, tmp_path, facts)
    crops = Crops(samples, PROBE.recipe.seed, epoch=0, flip=False)
    pixels, labels = zip(*(crops[index] for index in range(len(crops))), strict=True)
    with torch.no_grad():
        raw = trained.network()(torch.stack(pixels))["quality"].numpy()
    expected = link(raw, np.array(labels))
    found = Calibration.from_card(trained.training["scale"])
    assert found.score == expected.score
    np.testing.assert_allclose(found.raw, expected.raw, atol=0.1)  # bf16 where the CPU has it


def test_training_again_in_the_same_folder_gives_the_same_network(pristine, tmp_path):
    config = RegressorConfig(
        types=(1,), levels=(5,), recipe=Recipe(epochs=1, batch=6), preprocessing=SMALL, stages=("blocks1",)
    )
    samples, facts = regressor.samples_of(pristine, config)
    first = regressor.train(samples, config, tmp_path / "run", facts)
    again = regressor.train(samples, config, tmp_path / "run", facts)
    other = regressor.train(samples, config, tmp_path / "other", facts)
    for name, value in first.tensors.items():
        assert torch.equal(value, again.tensors[name])
        assert torch.equal(value, other.tensors[name])
    assert json.loads((tmp_path / "run" / "log.jsonl").read_text())["epoch"] == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"types": (26,)}, "types"),
        ({"levels": (0,)}, "levels"),
        ({"ridge": 0, "recipe": Recipe(epochs=0)}, "neither probe nor tuning"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(settings, said):
    with pytest.raises(UsageError, match=said):
        RegressorConfig(**settings)
