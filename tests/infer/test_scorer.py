"""Expected scores follow from the tiny bundle's definition: the mean grey of the crops / 2.55."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgqa_infer import BackendError, Bundle, ImageError, ModelError, Scorer, UsageError
from dgqa_infer.options import ScoringOptions
from dgqa_infer.results import Failure, Score


@pytest.fixture(scope="module")
def scorer(tiny_bundle: Path) -> Any:
    with Scorer(tiny_bundle, device="cpu") as scorer:
        yield scorer


def even(value: int | tuple[int, int, int], size: tuple[int, int] = (90, 70)) -> Any:
    return np.full((size[1], size[0], 3), value, np.uint8)


def test_the_score_of_an_even_photograph_is_its_grey(scorer: Scorer, tiny_model_id: str) -> None:
    score = scorer.score(even(102))
    assert score.score == pytest.approx(40, abs=1e-5)
    assert score.raw == pytest.approx(4, abs=1e-6)
    assert score.spread == pytest.approx(0, abs=1e-6)
    assert (score.width, score.height, score.path, score.model) == (90, 70, None, tiny_model_id)
    assert score.distortions is None


def test_raw_is_the_mean_over_crops_and_spread_their_deviation(scorer: Scorer) -> None:
    pixels = even(0, (64, 64))
    pixels[:32, :32] = 255
    # Corner crops of 32: one is white. The centre's is white in one quarter.
    crops = np.array([10, 0, 0, 0, 2.5])
    score = scorer.score(pixels)
    assert score.raw == pytest.approx(crops.mean(), abs=1e-5)
    assert score.spread == pytest.approx(crops.std(), abs=1e-5)


def test_every_kind_of_source_gives_the_same_score(scorer: Scorer, tmp_path: Path, make_photo: Any) -> None:
    path = make_photo(tmp_path / "a.png", seed=3)
    with Image.open(path) as image:
        image.load()
        data = path.read_bytes()
        sources = [path, str(path), data, image, np.asarray(image)]
        sources += [bytearray(data), memoryview(data), io.BytesIO(data)]
        raws = {scorer.score(source).raw for source in sources}
        with path.open("rb") as file:
            raws.add(scorer.score(file).raw)
    assert len(raws) == 1


class Tensor:
    """Stands for those of other libraries: neither a file nor bytes."""

    shape, dtype = (3, 70, 90), "float32"


class Torn:
    def read(self, count: int) -> bytes:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (Tensor(), "unsupported"),
        (None, "unsupported"),
        (7, "unsupported"),
        ([[0, 1], [2, 3]], "unsupported"),
        (io.StringIO("text"), "unsupported"),
        (Torn(), "unreadable"),
        (io.BytesIO(b""), "empty"),
        (memoryview(b"text"), "unsupported"),
        (np.zeros((4, 4, 3), np.float32), "unsupported"),
        (np.zeros((0, 4, 3), np.uint8), "corrupt"),
        (Image.new("F", (4, 4)), "unsupported"),
        (Image.new("RGBA", (4, 4)), "empty"),
        (Path("no such file"), "not_found"),
    ],
)
def test_an_input_that_is_no_photograph_costs_no_other_its_score(scorer: Scorer, odd: Any, code: str) -> None:
    first, failed, last = scorer.score_many([even(51), odd, even(102)])
    assert isinstance(failed, Failure)
    assert failed.code == code
    assert isinstance(first, Score)
    assert isinstance(last, Score)
    assert last.score == pytest.approx(40, abs=1e-5)


def test_what_is_no_path_costs_no_other_file_its_score(
    scorer: Scorer, tmp_path: Path, make_photo: Any
) -> None:
    path = make_photo(tmp_path / "a.png")
    failed, scored = scorer.score_files([io.BytesIO(), path], workers=1)  # type: ignore[list-item]
    assert isinstance(failed, Failure)
    assert failed.code == "unsupported"
    assert isinstance(scored, Score)


def test_pillow_s_integer_mode_is_8_bit_where_no_sample_is_above_255(scorer: Scorer) -> None:
    assert scorer.score(Image.new("I", (90, 70), 102)).score == pytest.approx(40, abs=1e-5)
    assert scorer.score(Image.new("I", (90, 70), 102 * 257)).score == pytest.approx(40, abs=1e-5)


def test_a_path_is_named_as_it_was_given(scorer: Scorer, tmp_path: Path, make_photo: Any) -> None:
    path = make_photo(tmp_path / "a.png")
    assert scorer.score(path).path == str(path)


def test_one_that_cannot_be_scored_raises(scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg") as error:
        scorer.score(tmp_path / "none.jpg")
    assert error.value.code == "not_found"


def test_of_many_each_has_its_own_result_in_order(scorer: Scorer) -> None:
    sources = [even(0), b"", even(51), b"text", even(255), "none.jpg"]
    results = list(scorer.score_many(sources))
    assert [result.score if isinstance(result, Score) else result.code for result in results] == [
        pytest.approx(0),
        "empty",
        pytest.approx(20, abs=1e-5),
        "unsupported",
        pytest.approx(100),
        "not_found",
    ]
    assert isinstance(results[-1], Failure)
    assert results[-1].path == "none.jpg"


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_scores_do_not_depend_on_batch_size_or_order(tiny_bundle: Path, batch_size: int) -> None:
    generator = np.random.default_rng(0)
    sources = [generator.integers(0, 256, (40 + n, 50, 3), dtype=np.uint8) for n in range(7)]
    with Scorer(tiny_bundle, device="cpu", batch_size=batch_size) as scorer:
        forward = [result.row() for result in scorer.score_many(sources)]
        backward = [result.row() for result in scorer.score_many(sources[::-1])]
    with Scorer(tiny_bundle, device="cpu", batch_size=3) as scorer:
        other = [result.row() for result in scorer.score_many(sources)]
    for one, two, three in zip(forward, backward[::-1], other, strict=True):
        assert one["raw"] == pytest.approx(two["raw"], abs=1e-4)
        assert one["raw"] == pytest.approx(three["raw"], abs=1e-4)


def test_many_are_read_only_as_far_as_needed(scorer: Scorer) -> None:
    taken = []

    def sources() -> Any:
        for number in range(1000):
            taken.append(number)
            yield even(number % 256)

    next(scorer.score_many(sources()))
    assert len(taken) == scorer.batch_size


def test_a_score_is_the_same_each_time(scorer: Scorer) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    assert len({scorer.score(pixels) for _ in range(3)}) == 1


def test_an_explanation_names_what_is_likeliest_first(tiny_bundle: Path) -> None:
    # The tiny domain graph's logits are the means of red (pristine), green (dust) and blue (eyes) / 10.
    with Scorer(tiny_bundle, device="cpu", explain=True) as scorer:
        score = scorer.score(even((0, 100, 110)))
        pristine = scorer.score(even((110, 100, 100)))
    shares = np.exp([0, 10, 11]) / np.exp([0, 10, 11]).sum()
    assert score.distortions is not None
    assert [found.name for found in score.distortions] == ["red eyes", "dust spots"]
    assert [found.probability for found in score.distortions] == pytest.approx(
        [shares[2], shares[1]], abs=1e-5
    )
    assert pristine.distortions == ()


def test_the_temperature_softens_probabilities(tmp_path: Path, models: Any) -> None:
    from dgqa_infer.bundle.bundle import Domains

    bundle = models.write(tmp_path / "warm", domains=Domains(("pristine", "a_blur", "b"), 10.0))
    with Scorer(bundle, device="cpu", explain=True) as scorer:
        (found, *_) = scorer.score(even((0, 0, 100))).distortions or ()
    assert found.probability == pytest.approx(math.e / (math.e + 2), abs=1e-5)


def test_explaining_without_a_domain_graph_is_refused(tmp_path: Path, models: Any) -> None:
    from dgqa_infer.bundle.bundle import write_bundle

    graphs = {"model.onnx": models.quality_graph().SerializeToString()}
    bundle = write_bundle(tmp_path / "plain", graphs, models.card(domains=None))
    with pytest.raises(ModelError, match=r"no domains\.onnx"):
        Scorer(bundle, device="cpu", explain=True)


def test_what_is_not_a_number_is_a_failure_and_never_a_score(tmp_path: Path, models: Any) -> None:
    import onnx

    model = models.quality_graph()
    for tensor in model.graph.initializer:
        if tensor.name == "scale":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(0, np.float32), "scale"))
    from dgqa_infer.bundle.bundle import write_bundle

    bundle = write_bundle(
        tmp_path / "nan", {"model.onnx": model.SerializeToString()}, models.card(domains=None)
    )
    with Scorer(bundle, device="cpu") as scorer:
        codes = [getattr(result, "code", None) for result in scorer.score_many([even(0), even(9)])]
    assert codes == ["not_finite", "not_finite"]


def test_small_and_thin_photographs_are_scored_with_a_warning(scorer: Scorer) -> None:
    for size in ((1, 1), (5, 3), (1, 500), (31, 31)):
        score = scorer.score(even(51, size))
        assert score.warnings == ("upscaled",)
        assert score.score == pytest.approx(20, abs=1e-4)


def test_wrong_arguments_are_refused(tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match="batch size"):
        Scorer(tiny_bundle, batch_size=0)
    with pytest.raises(UsageError, match="tpu"):
        Scorer(tiny_bundle, device="tpu")


def test_a_loaded_bundle_can_be_given(tiny_bundle: Path) -> None:
    with Scorer(Bundle.load(tiny_bundle), device="cpu") as scorer:
        assert scorer.backend == "onnxruntime"


def test_files_and_folders_are_scored_as_by_the_command_line(scorer: Scorer, photos: Path) -> None:
    results = list(scorer.score_files([photos, photos / "none.jpg"], workers=2))
    assert [result.path for result in results] == [
        *(f"{photos}/{'abc'[n // 3]}/{n}.{('jpg', 'png', 'webp')[n % 3]}" for n in range(9)),
        f"{photos}/none.jpg",
    ]
    alone = [scorer.score(result.path or "") for result in results[:9]]
    assert [result.row() for result in results[:9]] == [score.row() for score in alone]


def test_fast_decoding_names_itself_in_every_result(models: Any, tiny_bundle: Path, tmp_path: Path) -> None:
    """A grey photograph has its score either way; what tells the ways apart is the model's name."""
    photo = tmp_path / "grey.jpg"
    Image.new("RGB", (400, 300), (102, 102, 102)).save(photo, quality=95)
    with (
        Scorer(tiny_bundle, device="cpu") as exact,
        Scorer(tiny_bundle, device="cpu", decoding="scaled") as fast,
    ):
        one, two = exact.score(photo), fast.score(photo)
        (three,) = fast.score_files([photo], workers=1)
    assert two == three
    assert two.raw == pytest.approx(one.raw, abs=1e-4)
    assert (two.width, two.height) == (400, 300)
    assert two.model == f"{one.model}+scaled"


def test_fast_decoding_is_the_same_in_this_process_and_in_workers(tiny_bundle: Path, tmp_path: Path) -> None:
    photo = tmp_path / "noise.jpg"
    noise = np.random.default_rng(3).integers(0, 256, (301, 403, 3), np.uint8)
    Image.fromarray(noise).save(photo)
    with Scorer(tiny_bundle, device="cpu", decoding="scaled") as scorer:
        here = scorer.score(photo)
        (there,) = scorer.score_files([photo], workers=1)
        assert scorer.bundle.card.preprocessing.id == "test-short64-grid5-32-scaled"
    with Scorer(tiny_bundle, device="cpu") as exact:
        assert exact.score(photo).raw != here.raw
    assert here == there


def test_a_model_that_loads_in_the_background_gives_the_same_scores(
    tiny_bundle: Path, repository: Path
) -> None:
    photograph = repository / "examples" / "photos" / "coffee.webp"
    with (
        Scorer.in_background(tiny_bundle, ScoringOptions(device="cpu")) as later,
        Scorer(tiny_bundle, device="cpu") as now,
    ):
        assert later.score(photograph) == now.score(photograph)
        assert (later.backend, later.device) == (now.backend, now.device)


def test_what_keeps_a_model_from_loading_in_the_background_is_told_at_first_use(tiny_bundle: Path) -> None:
    with Scorer.in_background(tiny_bundle, ScoringOptions(device="cuda:99")) as scorer:
        for _ in range(2):
            with pytest.raises(BackendError):
                scorer.score(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(BackendError):
        Scorer(tiny_bundle, device="cuda:99")
