"""#09 and #10. Levels: docs/distortions.md (ratios 16–400, qualities 43–4)."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dgqa_training.distortions import DISTORTIONS, to_bytes
from dgqa_training.distortions.compression import jpeg, jpeg2000, jpeg2000_bytes


@pytest.fixture(scope="module")
def large(photo):
    """384×512: KADID's size, so that the headers' share of the file is KADID's too."""
    return np.tile(photo, (4, 4, 1))


def mean_squared_error(first, second):
    return float(((first - second) ** 2).mean())


@pytest.mark.parametrize("ratio", DISTORTIONS[9].levels)
def test_jpeg2000_file_has_the_ratio_asked_for(large, ratio):
    assert large.size / len(jpeg2000_bytes(large, ratio)) == pytest.approx(ratio, rel=0.03)


def test_jpeg2000_decorrelates_colours(large):
    # MATLAB's encoder does; without that the same ratio costs several dB.
    data = io.BytesIO()
    Image.fromarray(to_bytes(large)).save(
        data, "JPEG2000", irreversible=True, quality_mode="rates", quality_layers=[45], mct=0
    )
    apart = np.asarray(Image.open(data)) / 255
    ours = jpeg2000(large, 45, np.random.default_rng(0))
    assert mean_squared_error(ours, large) < 0.7 * mean_squared_error(apart, large)


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1), (3, 5), (31, 33)])
def test_jpeg2000_takes_sides_smaller_than_its_wavelet_levels(shape, generator):
    image = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    assert jpeg2000(image, 16, generator).shape == image.shape


def test_jpeg_is_what_pillow_writes_with_halved_chroma(photo, generator):
    for quality in DISTORTIONS[10].levels:
        data = io.BytesIO()
        Image.fromarray(to_bytes(photo)).save(data, "JPEG", quality=int(quality), subsampling=2)
        expected = np.asarray(Image.open(data), np.float32) / 255
        np.testing.assert_array_equal(jpeg(photo, quality, generator), expected)


def test_jpeg_gets_worse_with_every_level(photo, generator):
    errors = [mean_squared_error(jpeg(photo, q, generator), photo) for q in DISTORTIONS[10].levels]
    assert errors == sorted(errors)
