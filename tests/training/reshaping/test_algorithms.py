"""DDCUp against the authors' published features and samples; DRCDown against SciPy's connected components."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from dgqa_infer.errors import UsageError
from dgqa_training.datasets import Sample
from dgqa_training.reshaping.algorithms import (
    choose_contents,
    label_cube,
    linked_clusters,
    pseudo_samples,
    thin_clusters,
    transfer_labels,
)

BID_TYPES = (1, 3, 9, 21, 23, 25)
"""What DGQA selects for BID, by the authors' readme."""


def directions(*degrees: float) -> np.ndarray:
    """Features in the plane: their cosine distance is 1 − cos of the angle between them."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def distance(degrees: float) -> float:
    return float(1 - np.cos(np.radians(degrees)))


# -- DDCUp: the published oracle ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(shared_data: Path) -> dict[str, np.ndarray]:
    with np.load(shared_data / "syndr" / "reference_features.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def kadid_labels(shared_data: Path) -> np.ndarray:
    with (shared_data / "labels" / "kadid10k.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    samples = []
    for row in rows:
        _, kind, level = Path(row["dist_name"]).stem.split("_")
        reference = Path(row["ref_name"])
        samples.append(
            Sample(Path(row["dist_name"]), float(row["dmos"]), reference, None, int(kind), int(level))
        )
    names, labels = label_cube(samples)
    assert names == tuple(f"I{number:02}.png" for number in range(1, 82))
    return labels


def test_the_published_features_give_the_published_thresholds_and_contents(
    published: dict[str, np.ndarray],
) -> None:
    # Figures: the authors' script run on the features that they ship.
    choice = choose_contents(published["train_features"], published["additional_features"])
    assert choice.tau == pytest.approx(0.27837, abs=5e-6)
    assert choice.reach == pytest.approx(0.64790, abs=5e-6)
    assert choice.novel.sum() == 33
    assert choice.within.sum() == 76
    assert (choice.novel & choice.within).sum() == 29
    assert len(choice.kept) == 24


def test_labels_come_from_the_published_numbers_of_neighbours(
    published: dict[str, np.ndarray], kadid_labels: np.ndarray
) -> None:
    references, candidates = published["train_features"], published["additional_features"]
    kept = choose_contents(references, candidates).kept
    _, neighbours = transfer_labels(references, candidates[kept], kadid_labels)
    assert Counter(neighbours.tolist()) == {1: 2, 2: 3, 3: 3, 4: 3, 5: 13}


def test_the_432_published_samples_come_out_with_their_labels(
    shared_data: Path, published: dict[str, np.ndarray], kadid_labels: np.ndarray
) -> None:
    with (shared_data / "syndr" / "expected_bid_samples.csv").open(newline="") as file:
        expected = {row["image"]: float(row["label_0_to_10"]) for row in csv.DictReader(file)}
    _, samples = pseudo_samples(
        published["train_features"], published["additional_features"], kadid_labels, BID_TYPES
    )
    stems = [str(name).rpartition(".")[0] for name in published["additional_names"]]
    ours = {f"{stems[s.content]}_{s.domain:02}_{s.level:02}.bmp": s.label for s in samples}
    assert len(samples) == len(ours) == 432
    assert list(ours) == list(expected)
    assert ours == pytest.approx(expected, abs=1e-4)


# -- DDCUp by hand --------------------------------------------------------------------------------------


def test_a_content_must_be_new_and_yet_within_the_references_range() -> None:
    references = directions(0, 10, 20, 60)  # nearest other: 10, 10, 10, 40 degrees apart
    candidates = directions(5, 35, 90, 40)  # a near copy; new; beyond the range; new
    choice = choose_contents(references, candidates)
    assert choice.tau == pytest.approx(distance(10))
    assert choice.reach == pytest.approx(distance(60))
    assert choice.novel.tolist() == [False, True, True, True]
    assert choice.within.tolist() == [True, True, False, True]


def test_of_two_contents_nearer_than_tau_the_first_goes() -> None:
    references = directions(0, 10, 60, 70)
    choice = choose_contents(references, directions(32, 36, 47))
    # 32 and 36 are 4 degrees apart, 36 and 47 eleven, and tau is ten.
    assert choice.kept.tolist() == [1, 2]


def test_a_chain_of_near_contents_is_thinned_from_its_closest_pair() -> None:
    references = directions(0, 10, 70, 80)
    # 30–35 are closest and 30 goes; then 35–41 remain too close and 35 goes; 41 and 52 are far enough apart.
    assert choose_contents(references, directions(30, 35, 41, 52)).kept.tolist() == [2, 3]


def test_no_candidate_is_no_error() -> None:
    assert choose_contents(directions(0, 10), directions()).kept.tolist() == []
    assert choose_contents(directions(0, 10), directions(0)).kept.tolist() == []


def test_one_reference_has_no_distances() -> None:
    with pytest.raises(UsageError, match="two of them, not 1"):
        choose_contents(directions(0), directions(5))


def test_weights_are_the_softmax_of_the_distances_of_the_near_references() -> None:
    references = directions(0, 20, 90)
    labels = np.array([2.0, 4.0, 9.0])
    lent, counted = transfer_labels(references, directions(8), labels)
    near, far = np.exp([distance(8), distance(12)])  # 90 degrees is more than 0.05 beyond the nearest
    assert counted.tolist() == [2]
    assert lent[0] == pytest.approx((2 * near + 4 * far) / (near + far), rel=1e-12)
    assert lent[0] > 3.0  # the farther of the two weighs more, as released


def test_at_most_five_references_count() -> None:
    references = directions(1, 2, 3, 4, 5, 6)
    lent, counted = transfer_labels(references, directions(0), np.array([1.0, 1, 1, 1, 1, 100]))
    assert counted.tolist() == [5]
    assert lent[0] == pytest.approx(1.0)


def test_samples_take_levels_1_3_and_5_of_the_selected_types() -> None:
    labels = np.arange(2 * 25 * 5, dtype=float).reshape(2, 25, 5)
    references = directions(0, 80)
    _, samples = pseudo_samples(references, directions(81, 1), labels, (2, 25))
    assert samples == ()  # both are near copies: tau is the 80 degrees between the references
    _, samples = pseudo_samples(
        directions(0, 10, 60), directions(35), np.concatenate([labels, labels[:1]]), (2, 25)
    )
    assert [(s.content, s.domain, s.level) for s in samples] == [
        (0, 2, 1), (0, 2, 3), (0, 2, 5), (0, 25, 1), (0, 25, 3), (0, 25, 5),
    ]  # fmt: skip


def test_labels_are_scaled_once_over_all_of_kadid() -> None:
    samples = [
        Sample(
            Path(f"{name}_{kind}_{level}"),
            1 + 4 * (name == "I02.png") * (level == 1),
            Path(name),
            None,
            kind,
            level,
        )
        for name in ("I02.png", "I01.png")
        for kind in range(1, 26)
        for level in range(1, 6)
    ]
    names, labels = label_cube(samples)
    assert names == ("I01.png", "I02.png")
    assert labels.shape == (2, 25, 5)
    assert labels[0].max() == 0.0
    assert labels[1, :, 0].tolist() == [10.0] * 25
    with pytest.raises(UsageError, match=r"I01\.png has no score for type 25 at level 5"):
        label_cube(samples[:-1])


# -- DRCDown --------------------------------------------------------------------------------------------


def clusters_by_scipy(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The same graph made densely, in double precision, and its components by SciPy."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    graph = (unit @ unit.T > 0.9) & (np.abs(labels[:, None] - labels[None]) < 1)
    return connected_components(graph, directed=False)[1]


def partition(clusters: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(clusters == cluster).tolist()) for cluster in np.unique(clusters)}


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 120),
    contents=st.integers(1, 12),
    noise=st.sampled_from([0.05, 0.3, 0.6]),
)
def test_clusters_are_the_connected_components_that_scipy_finds(
    seed: int, count: int, contents: int, noise: float
) -> None:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(contents, 16))
    features = centres[generator.integers(contents, size=count)] + noise * generator.normal(size=(count, 16))
    labels = generator.uniform(0, 10, count).round(generator.integers(0, 3))
    ours = linked_clusters(features, labels, 0.9, 1.0)
    assert partition(ours) == partition(clusters_by_scipy(features, labels))


def test_clusters_that_reach_over_several_blocks_of_the_matrix_stay_whole() -> None:
    generator = np.random.default_rng(5)
    centres = generator.normal(size=(6, 8))
    count = 2600
    features = centres[generator.integers(6, size=count)] + 0.1 * generator.normal(size=(count, 8))
    labels = generator.uniform(0, 10, count)
    ours = linked_clusters(features.astype(np.float32), labels, 0.9, 1.0)
    assert partition(ours) == partition(clusters_by_scipy(features, labels))


def test_a_chain_of_links_is_one_cluster_though_its_ends_are_unlike() -> None:
    features = directions(0, 20, 40, 60)  # cos 20 = 0.94 links neighbours, cos 40 = 0.77 does not
    assert len(np.unique(linked_clusters(features, np.zeros(4), 0.9, 1.0))) == 1


def test_look_alikes_a_full_label_apart_are_not_linked() -> None:
    features = np.ones((4, 3))
    labels = np.array([2.0, 3.0, 3.5, 9.0])
    assert partition(linked_clusters(features, labels, 0.9, 1.0)) == {
        frozenset({0}), frozenset({1, 2}), frozenset({3}),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("size", "kept"),
    [(1, 1), (19, 19), (20, 20), (21, 20), (39, 20), (40, 20), (41, 20), (43, 21), (100, 50)],
)
def test_of_a_cluster_above_twenty_the_larger_of_twenty_and_half_stays(size: int, kept: int) -> None:
    features, labels = np.ones((size, 4)), np.full(size, 5.0)
    chosen = thin_clusters(features, labels, np.random.default_rng(0))
    assert len(chosen) == kept
    assert len(np.unique(chosen)) == kept


def test_small_clusters_and_single_images_are_kept_whole_beside_a_thinned_one() -> None:
    features = np.concatenate([np.tile([1.0, 0, 0], (60, 1)), np.tile([0, 1.0, 0], (20, 1)), [[0, 0, 1.0]]])
    chosen = thin_clusters(features, np.full(81, 5.0), np.random.default_rng(1))
    assert (chosen < 60).sum() == 30
    assert chosen[30:].tolist() == list(range(60, 81))


def test_another_epoch_draws_another_half_and_a_seed_repeats_it() -> None:
    features, labels = np.ones((80, 4)), np.full(80, 5.0)
    generator = np.random.default_rng(3)
    first, second = (thin_clusters(features, labels, generator) for _ in range(2))
    assert first.tolist() != second.tolist()
    assert thin_clusters(features, labels, np.random.default_rng(3)).tolist() == first.tolist()


def test_every_member_of_a_cluster_is_equally_likely_to_stay() -> None:
    features, labels = np.ones((40, 2)), np.full(40, 5.0)
    generator = np.random.default_rng(7)
    counts = np.zeros(40)
    for _ in range(400):
        counts[thin_clusters(features, labels, generator)] += 1
    # Each stays in half of 400 epochs, with a standard deviation of ten.
    assert np.abs(counts - 200).max() < 40


def test_nothing_in_is_nothing_out() -> None:
    assert thin_clusters(np.empty((0, 4)), np.empty(0), np.random.default_rng(0)).tolist() == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_of_a_diverged_network_are_refused(bad: float) -> None:
    features = np.ones((3, 2))
    features[1, 0] = bad
    with pytest.raises(UsageError, match="diverged"):
        thin_clusters(features, np.zeros(3), np.random.default_rng(0))


def test_labels_that_do_not_match_the_features_are_refused() -> None:
    with pytest.raises(UsageError, match="3 features need as many finite labels, not 2"):
        thin_clusters(np.ones((3, 2)), np.zeros(2), np.random.default_rng(0))
    with pytest.raises(UsageError, match="finite labels"):
        thin_clusters(np.ones((2, 2)), np.array([0, np.nan]), np.random.default_rng(0))
