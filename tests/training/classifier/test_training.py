from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image
from skimage import data

from dgqa_infer import UsageError
from dgqa_infer.bundle.bundle import Bundle, built_in
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.scorer import DEFAULT_MODEL
from dgqa_training.classifier import report
from dgqa_training.classifier import training as domains
from dgqa_training.classifier.held_out import held_out_contents
from dgqa_training.classifier.material import crops, samples, split
from dgqa_training.distortions import distort, to_bytes
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks import checkpoints
from dgqa_training.synthesis import Settings, plan_set, workers, write_set
from dgqa_training.synthesis.nuisances import IDENTITIES

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
    trained, kept = split(tmp_path, 0.2, 123)
    assert len(kept) == 2
    assert sorted(trained + kept) == sorted(tmp_path.iterdir())
    assert split(tmp_path, 0.2, 123) == (trained, kept)


def test_too_few_photographs_for_a_report_are_refused(tmp_path):
    (tmp_path / "lonely.png").touch()
    with pytest.raises(UsageError, match="holds 1 photographs"):
        split(tmp_path, 0.2, 123)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match="nowhere is not a folder"):
        split(tmp_path / "nowhere", 0.2, 123)


def test_what_is_no_photograph_does_not_change_the_choice(tmp_path):
    """The order is that of the paths, upper case before lower case, whatever the extension."""
    names = ["B.png", "a.JPG", "c.webp", "C.jpeg", "10.png", "9.bmp"]
    for name in names:
        (tmp_path / name).touch()
    before = split(tmp_path, 0.4, 123)
    order = np.random.default_rng(123).permutation(6)
    assert before[1] == [sorted(tmp_path.iterdir())[index] for index in sorted(order[:2])]
    (tmp_path / "._a.JPG").touch()
    (tmp_path / "b.jpg").mkdir()
    (tmp_path / "notes.txt").write_text("no photograph")
    assert split(tmp_path, 0.4, 123) == before


@pytest.mark.parametrize(("prior", "pristine_images"), [(1, 5), (5, 25), (0, 0)])
def test_every_type_has_as_many_samples_and_pristine_as_many_as_asked_for(pristine, prior, pristine_images):
    found = samples([pristine / "coffee.png"], prior)
    types = np.bincount([sample.type for sample in found], minlength=26)
    assert types.tolist() == [pristine_images, *[5] * 25]
    # Four images are as their types leave them; that is pristine.
    assert sum(sample.target == 0 for sample in found) == pristine_images + 4
    assert {(s.type, s.level) for s in found if s.type and not s.target} == IDENTITIES


def test_a_trained_classifier_records_what_was_kept_back(pristine, tmp_path):
    domains.train(pristine, CONFIG, tmp_path / "run")
    checkpoint = checkpoints.load(tmp_path / "run" / "domains.safetensors")
    assert checkpoint.task == "domains"
    assert checkpoint.preprocessing == SMALL
    assert set(checkpoint.training["held_out"]) < {"chelsea.png", "coffee.png"}
    assert checkpoint.network().linear.out_channels == 26


def test_as_many_photographs_of_other_names_are_another_run(pristine, tmp_path):
    domains.train(pristine, CONFIG, tmp_path / "run")
    (trained,) = split(pristine, CONFIG.held_out, CONFIG.recipe.seed)[0]
    trained.rename(trained.with_name(f"{trained.stem}-other.png"))
    with pytest.raises(UsageError, match="another names_digest"):
        domains.train(pristine, CONFIG, tmp_path / "run")


def test_images_made_beforehand_serve_as_those_made_in_memory(pristine, tmp_path):
    """Fewer types than all, to be quick."""
    with workers(1) as run:
        write_set(plan_set(pristine, Settings(types=(1, 7), levels=(2, 5)), run), tmp_path / "set", run)
    trained, kept = split(tmp_path / "set", 0.5, 123)
    assert {path.name for path in trained + kept} == {"I01.png", "I02.png"}
    material = crops(tmp_path / "set", trained, SMALL, 64, views=False)
    assert sorted(material.target(index) for index in range(len(material))) == [0, 0, 1, 1, 7, 7]
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


@pytest.fixture
def kadis(tmp_path):
    """Six references in KADIS-700k's official layout, each with one type at five levels, as .bmp."""
    root = tmp_path / "kadis700k"
    for folder in ("ref_imgs", "dist_imgs"):
        (root / folder).mkdir(parents=True)
    lines = ["ref_im,dist_type_1"]
    for number, kind in enumerate((1, 10, 10, 16, 17, 25)):
        pixels = np.random.default_rng(number).integers(0, 256, (100, 130, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "ref_imgs" / f"photo-{number}.png")
        lines.append(f"photo-{number}.png,{kind}")
        for level in range(1, 6):
            image = to_bytes(distort(pixels, kind, level, np.random.default_rng(0)))
            Image.fromarray(image).save(root / "dist_imgs" / f"photo-{number}_{kind:02}_{level:02}.bmp")
    (root / "kadis700k_ref_imgs.csv").write_text("\n".join(lines) + "\n")
    return root


def test_kadis_700k_is_read_with_five_pristine_images_for_each_of_a_type_or_as_many_as_asked_for(kadis):
    references = sorted((kadis / "ref_imgs").iterdir())
    natural = crops(kadis, references, SMALL, 64, prior=5 * 5 / 6)  # a reference each: 30 images of 5 types
    classes = [int(natural.target(index)) for index in range(len(natural))]
    # Blur at level 1 leaves an image as it is.
    assert np.bincount(classes, minlength=26)[[0, 1, 10, 16, 17, 25]].tolist() == [26, 4, 10, 5, 5, 5]
    even = crops(kadis, references, SMALL, 64, prior=1)
    assert len(even) == 30 + 6
    assert natural.crop(0, np.random.default_rng(0)).shape == (64, 64, 3)


def test_a_classifier_is_trained_and_reported_on_from_a_kadis_700k_folder(kadis, tmp_path):
    config = replace(CONFIG, held_out=0.17, prior=5.0)
    checkpoint = domains.train(kadis, config, tmp_path / "run")

    assert checkpoint.training["contents"] == 5
    assert checkpoint.training["plan"]["prior"] == 5.0
    (kept,) = held_out_contents(checkpoint, kadis)
    assert kept.parent == kadis / "ref_imgs"
    found = report.write(tmp_path / "run", kadis)
    assert found["contents"] == 1
    assert found["images"] == 126


def test_a_kadis_700k_folder_without_an_image_is_refused_with_its_name(kadis):
    (kadis / "dist_imgs" / "photo-3_16_04.bmp").unlink()
    with pytest.raises(UsageError, match=r"photo-3_16_04\.bmp"):
        split(kadis, 0.2, 0)


def test_images_are_trained_on_through_views_that_leave_their_class(pristine):
    references = [pristine / "chelsea.png"]
    seen = crops(pristine, references, SMALL, 64)
    plain = crops(pristine, references, SMALL, 64, views=False)

    assert [seen.target(k) for k in range(len(seen))] == [plain.target(k) for k in range(len(plain))]
    first = [seen.crop(0, np.random.default_rng(seed)) for seed in range(8)]
    assert all(each.shape == (64, 64, 3) for each in first)
    # No two views are alike, and none of the many is a mere crop of the photograph.
    assert len({each.tobytes() for each in first}) == 8
    np.testing.assert_array_equal(seen.centre(0), plain.centre(0))


def test_of_a_large_set_no_more_than_500_contents_are_kept_back(tmp_path):
    for number in range(3000):
        (tmp_path / f"{number}.png").touch()
    trained, kept = split(tmp_path, 0.2, 0)
    assert (len(trained), len(kept)) == (2500, 500)


def test_the_default_recipe_is_the_one_that_trained_the_built_in_classifier():
    if DEFAULT_MODEL not in built_in():
        pytest.skip("the built-in model is not in this checkout")
    plan = Bundle.load(DEFAULT_MODEL).card.training["classifier"]["plan"]
    assert plan["recipe"] == asdict(domains.RECIPE)
    assert plan["crop"] == domains.ClassifierConfig().crop
