import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dgqa_infer import ModelError, UsageError
from dgqa_training.loop.crops import Crops
from dgqa_training.loop.loop import Training, keep_depthwise
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks.checkpoints import read_tensors, write_tensors
from dgqa_training.networks.efficientnet_lite import EfficientNetLite


class _Noise:
    """Random crops; the target is the sample's number."""

    def __len__(self) -> int:
        return 10

    def target(self, index: int) -> float:
        return float(index)

    def crop(self, index: int, generator: np.random.Generator) -> np.ndarray:
        return generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)


class _Network(nn.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.linear = nn.Linear(4, 1)

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        x = crops.float().permute(0, 3, 1, 2) / 255
        return {"quality": self.linear(self.dropout(self.backbone(x).mean((2, 3)).float()))[:, 0]}


def _error(outputs: dict[str, torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
    return (outputs["quality"] - targets).abs().mean()


RECIPE = Recipe(epochs=3, batch=4, lr=1e-2, seed=5)


def _training(
    folder, recipe=RECIPE, *, save_every=0.0, loss=_error, settings=None, device="cpu", dropout=0.0
):
    torch.manual_seed(0)
    network = _Network(dropout)
    return Training(
        network, _Noise(), loss, recipe, folder, settings or {}, device=device, save_every=save_every
    )


def _log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("dropout", [0.0, 0.5], ids=["all", "dropout"])
@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, ema=0.9)], ids=["last", "averaged"])
@pytest.mark.parametrize("steps", [1, 3, 4, 8])
def test_a_run_that_was_killed_ends_with_the_weights_of_an_undisturbed_one(tmp_path, recipe, steps, dropout):
    undisturbed = _training(tmp_path / "whole", recipe, dropout=dropout).run().state_dict()

    class Killed(Exception):
        pass

    taken = []

    def kill(progress):
        taken.append(progress)
        if len(taken) == steps:
            raise Killed

    with pytest.raises(Killed):
        _training(tmp_path / "killed", recipe, dropout=dropout).run(kill)
    resumed = _training(tmp_path / "killed", recipe, dropout=dropout).run().state_dict()
    for name, value in undisturbed.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, ema=0.9)], ids=["last", "averaged"])
def test_a_run_that_has_time_for_one_step_a_call_ends_with_the_weights_of_one_long_call(tmp_path, recipe):
    undisturbed = _training(tmp_path / "whole", recipe).run().state_dict()
    steps = []
    for _ in range(9):  # three epochs of three steps
        training = _training(tmp_path / "bits", recipe)
        network = training.run(lambda progress: steps.append((progress.epoch, progress.step)), seconds=0)
    assert steps == [(epoch, step) for epoch in range(3) for step in (1, 2, 3)]
    for name, value in undisturbed.items():
        torch.testing.assert_close(network.state_dict()[name], value, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, ema=0.9)], ids=["last", "averaged"])
def test_another_call_of_the_same_training_goes_on_from_its_own_weights(tmp_path, recipe):
    undisturbed = _training(tmp_path / "whole", recipe).run().state_dict()
    training = _training(tmp_path / "bits", recipe)
    for _ in range(9):
        network = training.run(seconds=0)
    again = training.run()
    for name, value in undisturbed.items():
        torch.testing.assert_close(network.state_dict()[name], value, rtol=0, atol=0, msg=name)
        assert torch.equal(again.state_dict()[name], value)


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_a_resumed_average_lies_on_the_device_of_the_network(tmp_path):
    recipe = replace(RECIPE, ema=0.9)
    _training(tmp_path, recipe).run()
    resumed = _training(tmp_path, recipe, device="meta")
    resumed.open()
    assert {value.device.type for value in resumed._average.tensors.values()} == {"meta"}


def test_a_state_without_its_average_is_said(tmp_path):
    recipe = replace(RECIPE, ema=0.9)
    _training(tmp_path, recipe).run()
    tensors, metadata = read_tensors(tmp_path / "state.safetensors")
    del tensors["average.linear.bias"]
    write_tensors(tmp_path / "state.safetensors", tensors, metadata)
    with pytest.raises(ModelError, match=r"does not fit this run: it has no average of linear\.bias"):
        _training(tmp_path, recipe).run()


def test_an_average_begins_with_the_weights_that_the_first_step_starts_from(tmp_path):
    """Whoever trains may still give the network a head when the run has been opened."""
    training = _training(tmp_path, replace(RECIPE, epochs=0, ema=0.9))
    training.open()
    with torch.no_grad():
        training.network.linear.bias.fill_(7.0)
    assert training.run().linear.bias.item() == 7.0


def test_the_averaged_network_is_judged_after_each_epoch_and_training_ends_when_that_is_enough(tmp_path):
    training = _training(tmp_path, replace(RECIPE, ema=0.9))
    seen = []

    def judge(network):
        seen.append(network.linear.bias.item())
        return {"bias": seen[-1]}

    training.judge = judge
    training.finished = lambda log: len(log) == 2
    network = training.run()
    lines = _log_of(tmp_path)
    assert [line["bias"] for line in lines] == seen
    assert len(seen) == 2
    assert network.linear.bias.item() == seen[-1]


def test_an_epoch_trains_on_the_samples_that_were_chosen_for_it(tmp_path):
    asked, seen = [], []

    def choose(epoch, network):
        asked.append(epoch)
        return np.array([0, 3, 7]) if epoch % 2 else np.arange(5)

    training = _training(tmp_path)
    training.choose = choose
    training.run(lambda progress: seen.append((progress.epoch, progress.step, progress.steps)))
    assert asked == [0, 1, 2]
    assert seen == [(0, 1, 2), (0, 2, 2), (1, 1, 1), (2, 1, 2), (2, 2, 2)]


def test_a_choice_is_remembered_by_a_run_that_was_killed_within_the_epoch(tmp_path):
    """What is chosen depends on the network at the epoch's start, which a killed run no longer has."""

    class Killed(Exception):
        pass

    def kill(progress):
        if progress.step == 2:
            raise Killed

    first = _training(tmp_path)
    first.choose = lambda epoch, network: np.arange(10)
    with pytest.raises(Killed):
        first.run(kill)
    asked = []

    def choose(epoch, network):
        asked.append(epoch)
        return np.arange(10)

    resumed = _training(tmp_path)
    resumed.choose = choose
    resumed.run()
    assert asked == [1, 2]


def test_every_epoch_is_logged_with_its_mean_loss(tmp_path):
    losses = []
    _training(tmp_path).run(lambda progress: losses.append(progress.loss))
    lines = _log_of(tmp_path)
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    # Ten samples in batches of four make three steps; the last of an epoch has seen all of them.
    assert [line["loss"] for line in lines] == losses[2::3]


@pytest.mark.parametrize(
    ("change", "named"),
    [({"recipe": replace(RECIPE, lr=1e-3)}, "recipe"), ({"settings": {"types": [1]}}, "types")],
)
def test_other_settings_are_refused_by_name(tmp_path, change, named):
    _training(tmp_path).run()
    with pytest.raises(UsageError, match=f"another {named}"):
        _training(tmp_path, **change).run()


def test_a_run_may_be_given_more_epochs(tmp_path):
    _training(tmp_path / "grown", replace(RECIPE, epochs=1)).run()
    grown = _training(tmp_path / "grown").run().state_dict()
    whole = _training(tmp_path / "whole").run().state_dict()
    assert all(torch.equal(grown[name], value) for name, value in whole.items())


def test_the_rate_falls_in_a_straight_line_over_the_cooldown_alone():
    recipe = Recipe(epochs=6, cooldown=2)
    assert [recipe.warmth(done) for done in (0, 3.5, 4, 4.5, 5, 6)] == [1, 1, 1, 0.75, 0.5, 0]
    assert Recipe(epochs=6).warmth(6) == 1


def test_a_step_is_taken_at_the_rate_of_its_place_in_the_cooldown(tmp_path):
    training, rates = _training(tmp_path, replace(RECIPE, cooldown=1)), []
    training.run(lambda _: rates.append([group["lr"] for group in training._optimiser.param_groups]))
    head, backbone = np.array(rates).T
    # Ten samples in batches of four make three steps an epoch; the third epoch cools down.
    np.testing.assert_allclose(backbone, [1e-2] * 7 + [1e-2 * 2 / 3, 1e-2 / 3])
    np.testing.assert_allclose(head, 10 * backbone)


def test_a_cooldown_may_be_given_to_a_run_until_it_begins(tmp_path):
    cooled = replace(RECIPE, cooldown=1)
    _training(tmp_path / "grown", replace(RECIPE, epochs=2)).run()
    grown = _training(tmp_path / "grown", cooled).run().state_dict()
    whole = _training(tmp_path / "whole", cooled).run().state_dict()
    assert all(torch.equal(grown[name], value) for name, value in whole.items())
    with pytest.raises(UsageError, match="too late for 4 and 1"):
        _training(tmp_path / "grown", replace(cooled, epochs=4)).run()
    with pytest.raises(UsageError, match="too late for 3 and 0"):
        _training(tmp_path / "grown").run()


def test_divergence_stops_with_the_last_good_state(tmp_path):
    calls = []

    def diverge(outputs, targets):
        calls.append(1)
        return _error(outputs, targets) * (float("nan") if len(calls) == 5 else 1)

    with pytest.raises(ModelError, match="diverged"):
        _training(tmp_path, loss=diverge).run()
    network = _training(tmp_path).run()
    assert all(value.isfinite().all() for value in network.state_dict().values())


def test_a_state_that_was_lost_is_said(tmp_path):
    _training(tmp_path).run()
    (tmp_path / "state.safetensors").unlink()
    with pytest.raises(ModelError, match=r"its state\.safetensors is gone"):
        _training(tmp_path).run()


@pytest.mark.parametrize("left", ["", '{"epoch": 0, "lo'], ids=["none", "half a line"])
def test_a_log_that_lags_behind_its_state_is_made_whole(tmp_path, left):
    """As when the run was killed after the state of an epoch's end was written and before its line was."""
    _training(tmp_path / "whole").run()
    training = _training(tmp_path / "killed")
    for _ in range(3):
        training.run(seconds=0)
    (tmp_path / "killed" / "log.jsonl").write_text(left)
    resumed = _training(tmp_path / "killed")
    resumed.run()
    timeless = [
        [(line["epoch"], line["loss"]) for line in _log_of(tmp_path / run)] for run in ("whole", "killed")
    ]
    assert timeless[0] == timeless[1]
    assert resumed.log() == _log_of(tmp_path / "killed")


def test_a_frozen_backbone_keeps_weights_and_statistics(tmp_path):
    training = _training(tmp_path, replace(RECIPE, tune="head"))
    before = {name: value.clone() for name, value in training.network.state_dict().items()}
    after = training.run().state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"linear.weight", "linear.bias"}


def test_depthwise_kernels_may_be_kept(tmp_path):
    """Of EfficientNet-Lite0, 16 depthwise kernels and the normalisation behind each."""
    backbone = EfficientNetLite("efficientnet_lite0")
    keep_depthwise(backbone)
    kept = {name for name, value in backbone.named_parameters() if not value.requires_grad}
    assert kept == {
        f"_blocks.{block}.{part}"
        for block in range(16)
        for part in ("_depthwise_conv.weight", "_bn1.weight", "_bn1.bias")
    }


def test_training_all_but_depthwise_kernels_keeps_statistics(tmp_path):
    training = _training(tmp_path, replace(RECIPE, tune="pointwise"))
    before = {name: value.clone() for name, value in training.network.state_dict().items()}
    after = training.run().state_dict()
    same = {name for name, value in after.items() if torch.equal(value, before[name])}
    assert same == {f"backbone.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}


def test_an_averaged_result_lags_behind_the_last_weights(tmp_path):
    """After one step, an average with decay d is d · start + (1 − d) · now."""
    recipe = replace(RECIPE, epochs=1, batch=10)
    start = _training(tmp_path / "start", recipe).network.linear.weight.detach().clone()
    last = _training(tmp_path / "last", recipe).run().linear.weight
    averaged = _training(tmp_path / "averaged", replace(recipe, ema=0.75)).run().linear.weight
    torch.testing.assert_close(averaged, 0.75 * start + 0.25 * last)


def test_a_crop_depends_on_seed_epoch_and_sample_alone():
    first = Crops(_Noise(), seed=1, epoch=0, flip=True)
    again = Crops(_Noise(), seed=1, epoch=0, flip=True)
    assert all(torch.equal(first[index][0], again[index][0]) for index in reversed(range(10)))
    assert not torch.equal(first[0][0], Crops(_Noise(), seed=1, epoch=1, flip=True)[0][0])
    assert not torch.equal(first[0][0], Crops(_Noise(), seed=2, epoch=0, flip=True)[0][0])


def test_nothing_to_train_on_is_said(tmp_path):
    class Nothing(_Noise):
        def __len__(self) -> int:
            return 0

    with pytest.raises(UsageError, match="nothing to train on"):
        Training(_Network(), Nothing(), _error, RECIPE, tmp_path)
