import numpy as np
import pytest
import torch

from dgqa_training.networks.heads import Head, QualityNetwork, build_backbone
from dgqa_training.regressor.linear_probe import RidgeSums, fit_probe


def test_sums_taken_in_parts_solve_ridge_regression_on_standardised_features():
    """Against the textbook's form, (ZᵀZ + λnI)⁻¹Zᵀy on standardised features, from all data at once."""
    generator = np.random.default_rng(0)
    features = generator.normal(3, [0.1, 1, 5, 40], (200, 4))
    targets = features @ [1.0, -2, 0.3, 0.01] + generator.normal(0, 0.5, 200)
    sums = RidgeSums(4)
    for part in (slice(0, 32), slice(32, 33), slice(33, 200)):
        sums.add(features[part], targets[part])
    weights, bias = sums.solve(0.7)

    standard = (features - features.mean(0)) / features.std(0)
    penalised = standard.T @ standard + 0.7 * len(features) * np.eye(4)
    solution = np.linalg.solve(penalised, standard.T @ (targets - targets.mean()))
    expected = standard @ solution + targets.mean()
    np.testing.assert_allclose(features @ weights + bias, expected, rtol=1e-8)


def test_a_feature_that_never_changes_does_no_harm():
    sums = RidgeSums(2)
    features = np.column_stack([np.linspace(0, 1, 50), np.full(50, 7.0)])
    sums.add(features, 3 * features[:, 0])
    weights, bias = sums.solve(1e-9)
    np.testing.assert_allclose(features @ weights + bias, 3 * features[:, 0], atol=1e-5)


class _Greys:
    """Crops of one grey each; what is asked for is how bright they are."""

    def __len__(self) -> int:
        return 24

    def target(self, index: int) -> float:
        return index / 2.4

    def crop(self, index: int, generator: np.random.Generator) -> np.ndarray:
        return np.full((32, 32, 3), 10 * index, np.uint8)


def test_a_probe_learns_what_features_tell_and_leaves_the_backbone_alone():
    torch.manual_seed(0)
    network = QualityNetwork(build_backbone("efficientnet_lite0"), Head(("stem", "blocks1")))
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    seen = []
    fit_probe(network, _Greys(), ridge=1e-3, seed=0, batch=10, observe=seen.append)
    crops = torch.stack([torch.from_numpy(_Greys().crop(index, None)) for index in range(24)])
    with torch.no_grad():
        quality = network(crops)["quality"].numpy()
    assert np.corrcoef(quality, np.arange(24))[0, 1] > 0.98
    assert quality.mean() == pytest.approx(np.mean([_Greys().target(index) for index in range(24)]), abs=0.1)
    assert seen == [10, 10, 4]
    assert all(torch.equal(before[name], value) for name, value in network.backbone.state_dict().items())


def test_differences_count_as_samples_whose_target_is_zero():
    """Against least squares on samples, penalty and differences stacked as rows."""
    generator = np.random.default_rng(0)
    features = generator.normal(3, [0.1, 1, 5, 40], (200, 4))
    targets = features @ [1.0, -2, 0.3, 0.01]
    changes = generator.normal(0, [0.1, 1, 5, 40], (9, 2, 4))
    sums = RidgeSums(4)
    sums.add(features, targets)
    for each in changes:
        sums.add_differences(each)
    weights, _ = sums.solve(0.7)

    deviation = features.std(0)
    rows = [
        (features - features.mean(0)) / deviation / 200**0.5,
        (changes / deviation).reshape(-1, 4) / 9**0.5,
        0.7**0.5 * np.eye(4),
    ]
    wanted = [(targets - targets.mean()) / 200**0.5, np.zeros(18 + 4)]
    expected = np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0]
    np.testing.assert_allclose(weights * deviation, expected, rtol=1e-9)
