"""#19–#23. Check values: docs/distortions.md."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from skimage.filters import threshold_multiotsu

from dgqa_infer.errors import ImageError
from dgqa_training.distortions import DISTORTIONS, distort, from_bytes
from dgqa_training.distortions._otsu import otsu_thresholds
from dgqa_training.distortions._warp import warp_bicubic
from dgqa_training.distortions.spatial import (
    color_block,
    jitter,
    non_eccentricity_patch,
    pixelate,
    pixelate_scale,
    quantization,
)


def keys_kernel(x):
    """Keys's cubic convolution with a = −½, as the paper gives it."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def test_warp_is_bicubic_with_replicated_borders():
    draw = np.random.default_rng(0)
    image = draw.random((21, 9, 3), dtype=np.float32)
    displacement = (4 * draw.standard_normal((2, 21, 9))).astype(np.float32)
    warped = warp_bicubic(image, displacement)
    for y, x in [(0, 0), (20, 8), (10, 4), (3, 8), (17, 0)]:
        v, u = y + displacement[0, y, x], x + displacement[1, y, x]
        expected = np.zeros(3)
        for row in range(int(np.floor(v)) - 1, int(np.floor(v)) + 3):
            for column in range(int(np.floor(u)) - 1, int(np.floor(u)) + 3):
                source = image[np.clip(row, 0, 20), np.clip(column, 0, 8)]
                expected += keys_kernel(v - row) * keys_kernel(u - column) * source
        np.testing.assert_allclose(warped[y, x], expected, atol=1e-5)


def test_warp_by_nothing_is_the_identity(photo):
    np.testing.assert_array_equal(warp_bicubic(photo, np.zeros((2, *photo.shape[:2]), np.float32)), photo)


def test_jitter_warps_five_times_by_gaussian_displacements_shared_by_channels(monkeypatch, photo, generator):
    drawn = []

    def record(image, displacement):
        drawn.append(displacement.copy())
        return image

    monkeypatch.setattr("dgqa_training.distortions.spatial.warp_bicubic", record)
    jitter(photo, 0.5, generator)
    assert [d.shape for d in drawn] == [(2, 96, 128)] * 5
    assert np.std(drawn) == pytest.approx(0.5, rel=0.02)
    assert np.corrcoef(drawn[0].ravel(), drawn[1].ravel())[0, 1] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("count", DISTORTIONS[20].levels)
def test_patches_come_from_nearby_and_are_as_many_as_asked_for(monkeypatch, count):
    # Each element says where it stands: after one patch, whatever moved did so by one offset of ≤ 8 pixels.
    rows, columns = np.mgrid[0:96, 0:128].astype(np.float32)
    image = np.stack([rows, columns, rows], axis=-1)
    one = non_eccentricity_patch(image, 1, np.random.default_rng(3))
    moved = np.argwhere((one != image).any(axis=2))
    offsets = {(y - int(one[y, x, 0]), x - int(one[y, x, 1])) for y, x in moved}
    assert len(offsets) == 1
    assert max(map(abs, offsets.pop())) <= 8
    assert np.ptp(moved, axis=0).max() <= 15
    many = non_eccentricity_patch(image, count, np.random.default_rng(3))
    assert (many != image).any(axis=2).sum() > 3 * count


def test_later_patches_copy_what_earlier_ones_pasted():
    rows, columns = np.mgrid[0:48, 0:48].astype(np.float32)
    image = np.stack([rows, columns, rows], axis=-1)
    patched = non_eccentricity_patch(image, 100, np.random.default_rng(0))
    farthest = np.abs(np.stack([rows - patched[..., 0], columns - patched[..., 1]])).max()
    assert farthest > 8  # no single patch moves so far


def test_patches_reach_the_whole_range_of_places_and_offsets():
    class Recorder:
        def __init__(self):
            self.draw, self.bounds = np.random.default_rng(0), set()

        def integers(self, low, high, endpoint):
            self.bounds.add((low, high, endpoint))
            return self.draw.integers(low, high, endpoint=endpoint)

        def random(self, size):
            return self.draw.random(size)

    recorder = Recorder()
    non_eccentricity_patch(np.zeros((96, 128, 3), np.float32), 20, recorder)
    assert recorder.bounds == {(16, 64, True), (16, 96, True)}  # [16, side − 16 − 16]


@pytest.mark.parametrize(
    ("strength", "scale"), list(zip(DISTORTIONS[21].levels, (0.887, 0.784, 0.699, 0.569, 0.290), strict=True))
)
def test_pixelate_reduces_by_the_original_scale(strength, scale, generator):
    assert pixelate_scale(strength) == pytest.approx(scale, abs=5e-4)
    rows, columns = np.mgrid[0:384, 0:512].astype(np.float32)
    small = pixelate(np.stack([rows, columns, rows], axis=-1), strength, generator)
    for axis, side in enumerate((384, 512)):
        # The side is rounded up, so the last two pixels may show the same one.
        expected = np.ceil(side * pixelate_scale(strength))
        assert expected - 1 <= len(np.unique(small[..., axis])) <= expected


def test_pixelate_halves_as_imresize_does(monkeypatch, generator):
    # imresize(0:5, 0.5, 'nearest') takes every second element, the later of each pair: 1 3 5.
    monkeypatch.setattr("dgqa_training.distortions.spatial.pixelate_scale", lambda _: 0.5)
    row = np.arange(6, dtype=np.float32)
    image = np.repeat(row[None, :, None], 3, axis=2)
    np.testing.assert_array_equal(pixelate(image, 0, generator)[0, :, 0], [1, 1, 3, 3, 5, 5])


@pytest.mark.parametrize("thresholds", DISTORTIONS[22].levels)
def test_quantization_has_one_value_more_than_thresholds_black_and_white_among_them(
    photo, thresholds, generator
):
    values = np.unique(quantization(photo, thresholds, generator))
    assert len(values) == thresholds + 1
    assert values[0] == 0
    assert values[-1] == 1


def test_quantization_rounds_up_to_the_next_threshold(photo, generator):
    limits = otsu_thresholds(photo, 7)
    quantized = quantization(photo, 7, generator)
    assert (quantized[photo < limits[0]] == 0).all()
    for low, high in pairwise(limits):
        assert (quantized[(photo > low) & (photo < high)] == high).all()
    assert (quantized[photo > limits[-1]] == 1).all()


def test_an_element_that_equals_a_threshold_belongs_to_the_class_below_it(generator):
    # MathWorks' documentation of imquantize: quant_A = valuesMin(i + 1) where levels(i) < A <= levels(i + 1).
    levels = np.repeat(np.arange(256, dtype=np.float32)[:, None, None] / 255, 3, axis=2)
    limits = otsu_thresholds(levels, 7)
    quantized = quantization(levels, 7, generator)
    np.testing.assert_allclose(quantized[np.isclose(levels, limits[0])], 0)
    for low, high in pairwise(limits):
        np.testing.assert_allclose(quantized[np.isclose(levels, high)], high)
        assert (quantized[np.isclose(levels, low)] < high).all()


@pytest.mark.parametrize("thresholds", [1, 2, 3])
def test_thresholds_are_optimal(photo, thresholds):
    # scikit-image searches exhaustively; its thresholds are the last bin of the lower class, as ours.
    levels = np.round(photo * 255).astype(np.uint8).reshape(96, -1)
    expected = threshold_multiotsu(levels, classes=thresholds + 1, nbins=256)
    ours = np.round(otsu_thresholds(photo, thresholds) * 255)
    assert np.abs(ours - expected).max() <= 1


def test_an_image_of_fewer_values_than_thresholds_keeps_them(generator):
    image = np.zeros((8, 8, 3), np.float32)
    image[4:] = 1
    assert len(otsu_thresholds(image, 7)) == 1
    np.testing.assert_array_equal(quantization(image, 7, generator), image)


@pytest.mark.parametrize("count", DISTORTIONS[23].levels)
def test_color_blocks_are_opaque_squares_of_32_pixels(count):
    image = np.full((512, 512, 3), -1, np.float32)
    blocked = color_block(image, count, np.random.default_rng(1))
    covered = (blocked != -1).all(axis=2)
    colours = np.unique(blocked[covered], axis=0)
    assert len(colours) == count
    for colour in colours:
        where = np.argwhere((blocked == colour).all(axis=2))
        assert np.ptp(where, axis=0).max() == 31
    assert covered.sum() <= count * 32 * 32


@pytest.mark.parametrize(("number", "side"), [(20, 48), (23, 32)])
def test_types_that_need_room_say_how_much(number, side, generator):
    assert DISTORTIONS[number].smallest_side == side
    enough = np.random.default_rng(0).integers(0, 256, (side, side + 5, 3), dtype=np.uint8)
    assert distort(enough, number, 5, generator).shape == enough.shape
    with pytest.raises(ImageError, match=f"at least {side}×{side} pixels"):
        distort(from_bytes(enough)[: side - 1], number, 5, generator)
