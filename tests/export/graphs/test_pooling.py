"""Pooling of a quality graph's cells, against numpy and the formula's own properties."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from dgqa_export.graphs.packing import unpack
from dgqa_export.graphs.pooling import carried, exponent_of, pooled, with_pooling, without_pooling
from dgqa_infer import UsageError
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.bundle.card import Calibration
from dgqa_infer.images.crops import crops

EXPONENT = 0.8


@pytest.fixture(scope="module")
def linear() -> bytes:
    return without_pooling(Bundle.load("dgqa-lite0").graph_bytes("model.onnx"))


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    image = np.asarray(Image.fromarray(data.coffee()).resize((300, 200)))
    return crops(image, Bundle.load("dgqa-lite0").card.preprocessing)[0]


def outputs(graph: bytes, stack: np.ndarray) -> dict[str, np.ndarray]:
    with OnnxRuntimeBackend(graph, threads=1) as backend:
        return {name: np.array(value) for name, value in backend.infer(stack).items()}


@pytest.mark.parametrize("packed", [True, False])
def test_the_graph_bends_each_cell_by_the_formula_and_takes_the_mean(linear, stack, packed):
    graph = linear if packed else unpack(linear)
    before, after = outputs(graph, stack), outputs(with_pooling(graph, EXPONENT), stack)
    held = np.clip(before["quality_map"].astype(np.float64), 0, 10)
    expected = 10 * (np.exp(EXPONENT * held) - 1) / (np.exp(10 * EXPONENT) - 1)
    np.testing.assert_allclose(after["quality_map"], expected, rtol=1e-4)
    np.testing.assert_allclose(after["quality"], expected.mean((1, 2)), rtol=1e-4)


def test_it_is_undone_without_a_trace(linear):
    assert without_pooling(with_pooling(linear, EXPONENT)) == linear
    assert exponent_of(linear) is None


def test_another_exponent_takes_the_place_of_the_first(linear):
    twice = with_pooling(with_pooling(linear, 0.3), EXPONENT)
    assert twice == with_pooling(linear, EXPONENT)
    assert exponent_of(twice) == pytest.approx(EXPONENT)


@pytest.mark.parametrize("exponent", [0.0, -1.0, 1.1, float("nan")])
def test_exponents_out_of_range_are_refused(linear, exponent):
    with pytest.raises(UsageError, match="exponent"):
        with_pooling(linear, exponent)


@given(st.lists(st.floats(-5, 15), min_size=2, max_size=20), st.floats(0.01, 1))
def test_it_keeps_order_ends_and_scale(cells, exponent):
    found = pooled(np.sort(np.array(cells)), exponent)
    assert (np.diff(found) >= 0).all()
    assert found.min() >= 0
    assert found.max() <= 10 + 1e-9
    assert pooled(np.array([0.0, 10.0]), exponent).tolist() == pytest.approx([0, 10])


@given(st.lists(st.floats(0, 10), min_size=2, max_size=20))
def test_an_uneven_photograph_is_placed_above_an_even_one_of_the_same_mean(cells):
    even = pooled(np.array([np.mean(cells)]), EXPONENT)[0]
    assert pooled(np.array(cells), EXPONENT).mean() >= even - 1e-9


def test_a_scale_that_is_carried_over_gives_even_photographs_the_scores_that_they_had():
    scale = Calibration((0.0, 4.0, 6.0, 10.0), (0.0, 20.0, 70.0, 100.0))
    linear = np.array([3.0, 4.5, 6.2, 7.9])
    after = carried(scale, EXPONENT, linear, pooled(linear, EXPONENT))
    assert [after(float(raw)) for raw in pooled(linear, EXPONENT)] == pytest.approx(
        [scale(float(each)) for each in linear], abs=0.6
    )


def test_a_scale_that_is_carried_over_moves_by_what_uneven_photographs_gain():
    scale = Calibration((0.0, 10.0), (0.0, 100.0))
    linear = np.array([4.0, 5.0, 6.0])
    after = carried(scale, EXPONENT, linear, pooled(linear + 0.5, EXPONENT))
    assert after(float(pooled(np.array(5.5), EXPONENT))) == pytest.approx(50, abs=0.5)


def test_the_built_in_model_pools_as_half_of_the_development_photographs_chose(repository):
    chosen = json.loads((repository / "benchmarks/results/pooling.json").read_text())["chosen"]
    bundle = Bundle.load("dgqa-lite0")
    assert chosen == f"exp, held to 0–10, {bundle.card.training['pooling']['exponent']}"
    assert exponent_of(bundle.graph_bytes("model.onnx")) == pytest.approx(EXPONENT)
