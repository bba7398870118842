import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dgqa_infer import UsageError
from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_training.loop.loop import half_where_it_pays
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks import checkpoints
from dgqa_training.networks.heads import Head, QualityNetwork, pretrained_backbone
from dgqa_training.regressor.training import STAGES
from dgqa_training.representation.network import Objective, StackNetwork
from dgqa_training.representation.pack import Photographs
from dgqa_training.representation.preparation import remembered
from dgqa_training.representation.stacks import Stacks
from dgqa_training.representation.training import CHECKPOINT, RepresentationConfig, enough, train

HERE = {"device": "cpu", "workers": 0}
RECIPE = Recipe(epochs=1, batch=4, lr=3e-4, weight_decay=0.0, flip=False, ema=0.5, head_factor=1.0)
CONFIG = RepresentationConfig(recipe=RECIPE, rounds=2, kept_back=0.25, judged=4, probed=24)
LONG = 1000.0  # minutes


def run(photographs, folder, config=CONFIG, minutes=LONG, **options):
    return train(photographs, config, folder, minutes=minutes, where=HERE, **options)


def test_training_lowers_the_loss_on_the_contents_it_trains_on(tmp_path, photographs):
    config = replace(CONFIG, recipe=replace(RECIPE, epochs=5, ema=0.0), patience=99)
    losses = {}
    run(photographs, tmp_path, config, observe=lambda p: losses.update({p.epoch: p.loss}))
    assert losses[4] < 0.9 * losses[0]


@pytest.mark.parametrize("remember", [False, True], ids=["crops", "maps"])
def test_a_run_in_two_parts_is_an_uninterrupted_one_to_the_last_bit(tmp_path, photographs, remember):
    # Four contents in two rounds make eight stacks: two steps an epoch.
    config = replace(CONFIG, remember=remember)
    whole = run(photographs, tmp_path / "whole", config)
    steps = []
    for _ in range(2):
        parts = run(photographs, tmp_path / "parts", config, 0, observe=lambda p: steps.append(p.step))
    assert steps == [1, 2]
    for name, value in whole.checkpoint.tensors.items():
        assert torch.equal(parts.checkpoint.tensors[name], value), name
    assert parts.after == whole.after


def test_the_result_is_a_checkpoint_whose_early_blocks_are_imagenets(tmp_path, photographs):
    result = run(photographs, tmp_path)
    found = checkpoints.load(tmp_path / CHECKPOINT)
    x = torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        before = pretrained_backbone("efficientnet_lite0").eval().stages(x)
        after = found.network().backbone.stages(x)
    assert torch.equal(before["blocks5"], after["blocks5"])
    assert not torch.equal(before["blocks6"], after["blocks6"])
    record = found.training["representation"]
    assert record["figures"] == {"before": result.before, "after": result.after}
    assert len(record["held_out"]) == 2
    assert json.loads(json.dumps(result.as_dict()))["epochs"][0]["order"] == result.epochs[0]["order"]


def test_the_epoch_is_kept_that_ordered_best_what_was_kept_back(tmp_path, photographs):
    config = replace(CONFIG, recipe=replace(RECIPE, epochs=3, lr=1e-2, ema=0.0))  # a rate that does harm
    result = run(photographs, tmp_path, config)
    assert result.after["order"] == max(line["order"] for line in result.epochs)
    assert result.after["order"] == result.checkpoint.training["representation"]["figures"]["after"]["order"]


def test_training_ends_when_the_order_has_not_become_better_for_some_epochs():
    log = [{"order": order} for order in (0.80, 0.85, 0.84, 0.85, 0.83)]
    assert [enough(log[:n], patience=3) for n in range(6)] == [False] * 5 + [True]
    assert not enough([*log[:4], {"order": 0.86}], patience=3)


@pytest.mark.parametrize(
    ("change", "named"), [({"judged": 3}, "judged"), ({"objective": Objective(keep=2.0)}, "objective")]
)
def test_a_folder_of_other_settings_is_neither_read_nor_written(tmp_path, photographs, change, named):
    run(photographs, tmp_path)
    (tmp_path / "start.safetensors").unlink()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match=f"another {named}"):
        run(photographs, tmp_path, replace(CONFIG, **change))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_as_many_photographs_of_other_names_are_another_run(tmp_path, photographs):
    folder = tmp_path / "other" / "pristine"
    folder.mkdir(parents=True)
    for path in photographs.pristine:
        (folder / f"other-{path.name}").write_bytes(path.read_bytes())
    run(photographs, tmp_path / "run", minutes=0)
    others = Photographs(tuple(sorted(folder.iterdir())), photographs.authentic)
    with pytest.raises(UsageError, match="another names_digest"):
        run(others, tmp_path / "run")


@pytest.mark.parametrize("change", [{"tune": "head"}, {"flip": True}])
def test_a_recipe_that_mirrors_or_tunes_in_another_way_is_refused(change):
    with pytest.raises(UsageError, match="tune must be 'all' and its flip False"):
        RepresentationConfig(recipe=replace(RECIPE, **change))


def test_what_the_head_reads_cannot_be_frozen():
    with pytest.raises(UsageError, match="freeze less than blocks6"):
        RepresentationConfig(after="blocks6")
    with pytest.raises(UsageError, match="resnet50"):
        RepresentationConfig(backbone="resnet50")


def test_what_is_remembered_are_the_maps_of_the_frozen_blocks(tmp_path, photographs):
    stacks = Stacks(photographs, STANDARD, rounds=1, seed=0)
    backbone = pretrained_backbone("efficientnet_lite0")
    network = StackNetwork(QualityNetwork(backbone, Head(STAGES["efficientnet_lite0"])), "blocks5")
    source = remembered(stacks, network, tmp_path, seed=4, where=HERE)
    crop = stacks.crop(2, np.random.default_rng([4, 0, 2]))
    with half_where_it_pays("cpu"):
        expected = network.frozen_maps(torch.from_numpy(crop)).float().numpy()
    found = source.crop(2, np.random.default_rng(0)).astype(np.float32)
    # Kept in half precision.
    assert np.abs(found - expected).mean() < 0.005 * np.abs(expected).mean()
    np.testing.assert_array_equal(source.target(2), stacks.target(2))
