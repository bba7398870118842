import numpy as np
import pytest
from PIL import Image
from skimage import data

from dgqa_infer import UsageError
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_training.loop.crop_sources import PRISTINE, ImageCrops, Synthetic, SyntheticCrops

SMALL = Preprocessing(id="test", short_side=96, crop=64, grid=1)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    file = tmp_path_factory.mktemp("pristine") / "chelsea.png"
    Image.fromarray(data.chelsea()[:96, :128]).save(file)
    return file


def _crop(samples, index=0, seed=0):
    return samples.crop(index, np.random.default_rng(seed))


def test_a_pristine_crop_is_a_piece_of_the_reference(reference):
    crop = _crop(SyntheticCrops([Synthetic(reference, PRISTINE, 0, 10.0)], SMALL))
    whole = np.asarray(Image.open(reference))
    windows = np.lib.stride_tricks.sliding_window_view(whole, (64, 64, 3))[:, :, 0]
    assert (windows == crop).all((2, 3, 4)).sum() == 1


def test_a_distorted_crop_differs_and_depends_on_the_generator_alone(reference):
    samples = SyntheticCrops([Synthetic(reference, 11, 5, 1.0)], SMALL)
    assert np.array_equal(_crop(samples, seed=3), _crop(samples, seed=3))
    assert not np.array_equal(_crop(samples, seed=3), _crop(samples, seed=4))


def test_white_noise_has_the_variance_of_its_level(reference):
    """KADID's white noise at level 5 has variance 0.01 on 0–1, before clipping and the final stretch."""
    samples = SyntheticCrops([Synthetic(reference, 11, 5, 1.0), Synthetic(reference, 0, 0, 10.0)], SMALL, 96)
    noisy, clean = (_crop(samples, index).astype(float) / 255 for index in (0, 1))
    rough = (noisy[:, 1:] - noisy[:, :-1]).var() - (clean[:, 1:] - clean[:, :-1]).var()
    assert 0.5 * 0.01 < rough / 2 < 1.5 * 0.01


def test_large_references_are_shrunk_before_they_are_distorted(tmp_path):
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    samples = SyntheticCrops([Synthetic(tmp_path / "astronaut.png", PRISTINE, 0, 10.0)], SMALL, 96)
    assert _crop(samples).shape == (96, 96, 3)
    with pytest.raises(UsageError, match="96×96 pixels is smaller than the crop of 97"):
        _crop(SyntheticCrops(samples.samples, SMALL, 97))


def test_crops_of_images_on_disk_carry_their_labels(reference):
    samples = ImageCrops([reference, reference], [3.0, 4.0], SMALL)
    assert len(samples) == 2
    assert [samples.target(index) for index in (0, 1)] == [3.0, 4.0]
    assert _crop(samples, 1).shape == (64, 64, 3)


def test_labels_that_do_not_match_images_are_refused(reference):
    with pytest.raises(UsageError, match="1 images and 2 labels"):
        ImageCrops([reference], [1.0, 2.0], SMALL)


def test_views_change_how_an_image_is_seen_and_centres_stay_plain(tmp_path):
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    samples = [Synthetic(tmp_path / "astronaut.png", kind, level, 1.0) for kind, level in ((0, 0), (1, 4))]
    whole = Preprocessing(id="test", short_side=256, crop=64, grid=1)
    plain, viewed = (SyntheticCrops(samples, whole, views=views) for views in (False, True))
    for index in range(len(samples)):
        crops = [_crop(viewed, index, seed) for seed in range(20)]
        assert {crop.shape for crop in crops} == {(64, 64, 3)}
        assert np.array_equal(_crop(viewed, index, 3), crops[3])
        assert np.array_equal(viewed.centre(index), plain.centre(index))
    greys = [(_crop(viewed, 0, seed) == _crop(viewed, 0, seed)[..., :1]).all() for seed in range(60)]
    assert 0 < sum(greys) < 20  # a tenth
