"""JPEGs decoded and shrunk on a device, tried on nvImageCodec's own codec for CPUs; the oracle is Pillow.

That codec is libjpeg-turbo, so what differs from Pillow's pixels is the shrinking alone. Where a decoder must
fail, or be of another make, a stand-in takes nvImageCodec's place.
"""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from dgqa_infer import BackendError, Bundle, Failure, ImageError, Score, Scorer, UsageError, gpu
from dgqa_infer.decoders import nvjpeg
from dgqa_infer.decoders.nvjpeg import DeviceDecoder, device_beside
from dgqa_infer.decoders.pillow import open_as
from dgqa_infer.images import decode
from dgqa_infer.pipeline import Pipeline, WorkerLimits
from dgqa_infer.preprocessing import STANDARD, Preprocessing, crops, shrink
from dgqa_infer.results import Result

SMALL = Preprocessing(id="test-short64-grid5-32", short_side=64, crop=32, grid=5)
ORIENTATION = 0x0112
# ONNX Runtime computes the filter's weights in single precision, Pillow in double: where a sum is within that
# of a half, it is rounded the other way. Of the photographs below at most 0.03 % of the values are.
ROUNDED_OTHERWISE = 0.001


@pytest.fixture(scope="module")
def codec() -> None:
    try:
        there = importlib.util.find_spec("nvidia.nvimgcodec") is not None
    except ImportError:
        there = False
    if not there:
        pytest.skip("nvidia-nvimgcodec-cu13 is not installed: there are wheels for Linux alone")


@pytest.fixture(scope="module")
def decoder(codec: None) -> DeviceDecoder:
    return DeviceDecoder("cpu", SMALL)


def scene(mode: str = "RGB", size: tuple[int, int] = (240, 170)) -> Image.Image:
    """Detail in every place, and no two corners alike."""
    spots = np.random.default_rng(1).integers(0, 256, (size[1] // 3, size[0] // 3, 3), np.uint8)
    return Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC).convert(mode)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **({"quality": 92} | options))
    return file.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


def wide_gamut() -> bytes:
    """sRGB's profile with another colorant for green, as Adobe RGB has one: 0.2, 0.63 and 0.07."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = data.index(b"gXYZ")
    where = int.from_bytes(data[at + 4 : at + 8], "big") + 8
    data[where : where + 12] = b"".join(
        round(value * 65536).to_bytes(4, "big") for value in (0.2, 0.63, 0.07)
    )
    return bytes(data)


def assert_nearly(found: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> None:
    assert found.shape == wanted.shape
    assert found.dtype == np.uint8
    off = np.abs(found.astype(int) - wanted)
    assert off.max() <= 1
    assert (off > 0).mean() < ROUNDED_OTHERWISE


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {"subsampling": "4:2:0"}),
        ("RGB", {"subsampling": "4:2:2"}),
        ("RGB", {"subsampling": "4:4:4"}),
        ("RGB", {"progressive": True}),
        ("RGB", {"restart_marker_rows": 1}),
        ("L", {}),
    ],
)
def test_plain_jpegs_have_pillow_s_pixels_up_to_rounding(
    decoder: DeviceDecoder, mode: str, options: dict[str, Any]
) -> None:
    data = jpeg(scene(mode), **options)
    image = open_as(data, "JPEG")
    found = decoder.decode(data, image, 1)
    assert found is not None
    assert_nearly(found, shrink(np.asarray(image.convert("RGB")), SMALL))


@pytest.mark.parametrize("name", ["Issue_525.jpg", "Samsung_GT-I9100_Galaxy_SII.jpg"])
def test_photographs_of_cameras_have_the_cpu_s_crops_up_to_rounding(
    codec: None, shared_data: Path, name: str
) -> None:
    on_device = DeviceDecoder("cpu", STANDARD)
    data = (shared_data / "photos" / name).read_bytes()
    one, two = decode(data), decode(data, on_device=on_device)
    assert (two.width, two.height, two.warnings) == (one.width, one.height, ())
    assert min(two.pixels.shape[:2]) == 512
    assert_nearly(crops(two.pixels, STANDARD)[0], crops(one.pixels, STANDARD)[0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_upright(decoder: DeviceDecoder, orientation: int) -> None:
    data = jpeg(scene(), exif=exif(orientation))
    one, two = decode(data), decode(data, on_device=decoder)
    assert (two.width, two.height) == (one.width, one.height)
    assert two.warnings == ()
    assert_nearly(crops(two.pixels, SMALL)[0], crops(one.pixels, SMALL)[0])


def test_an_srgb_profile_changes_nothing(decoder: DeviceDecoder) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decode(jpeg(scene(), icc_profile=profile), on_device=decoder).warnings == ()


@pytest.mark.parametrize(
    ("data", "others"),
    [
        pytest.param(jpeg(scene("CMYK")), ("cmyk_without_profile",), id="CMYK"),
        pytest.param(jpeg(scene(), keep_rgb=True), (), id="planes of RGB"),
        pytest.param(jpeg(scene(), icc_profile=wide_gamut()), (), id="another profile than sRGB"),
        pytest.param(jpeg(scene(size=(100, 64))), (), id="no larger than it has to be"),
        pytest.param(jpeg(scene(size=(30, 20))), (), id="very small"),
        pytest.param(jpeg(scene())[:-2] + b"\xff\x01\xff\xd9", None, id="something before its end"),
    ],
)
def test_what_is_not_plain_has_the_cpu_s_pixels_and_says_so(
    decoder: DeviceDecoder, data: bytes, others: tuple[str, ...] | None
) -> None:
    one, two = decode(data), decode(data, on_device=decoder)
    assert np.array_equal(one.pixels, two.pixels)
    assert two.warnings == ("cpu_decoded", *one.warnings)
    assert others is None or one.warnings == others


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg(scene())[:4000], id="half a file"),
        pytest.param(jpeg(scene())[:100], id="half a header"),
        pytest.param(b"\xff\xd8\xff\xe0" + bytes(300), id="no JPEG behind its first bytes"),
        pytest.param(jpeg(scene())[:-2], id="all but its end"),
    ],
)
def test_a_damaged_file_has_the_cpu_s_verdict(decoder: DeviceDecoder, data: bytes) -> None:
    def verdict(**options: Any) -> object:
        try:
            return decode(data, **options).warnings
        except ImageError as error:
            return error.code, error.message

    one, two = verdict(), verdict(on_device=decoder)
    assert one
    assert two == one or two == ("cpu_decoded", *one)


def test_damage_within_a_scan_is_not_seen_there(decoder: DeviceDecoder) -> None:
    """As the documentation says, and why --strict and --gpu-decode exclude each other."""
    data = jpeg(scene())[:-4000] + b"\xff\xd9"
    assert decode(data).warnings == ("jpeg_corrupt_data",)
    assert decode(data, on_device=decoder).warnings == ()


def test_other_formats_are_none_of_its_business(decoder: DeviceDecoder) -> None:
    file = io.BytesIO()
    scene().save(file, "PNG")
    photograph = decode(file.getvalue(), on_device=decoder)
    assert photograph.warnings == ()
    assert np.array_equal(photograph.pixels, np.asarray(scene()))


def test_its_libraries_write_nothing_to_the_terminal(codec: None, capfd: pytest.CaptureFixture[str]) -> None:
    decoder = DeviceDecoder("cpu", SMALL)
    half = jpeg(scene())[:4000] + b"\xff\xd9"
    decoder.decode(half, open_as(half, "JPEG"), 1)
    assert capfd.readouterr().out == ""


# Through worker processes


@pytest.fixture
def scorer(tiny_bundle: Path) -> Iterator[Scorer]:
    """As `gpu_decode` makes it, but for the device."""
    with Scorer(tiny_bundle, device="cpu", batch_size=2) as scorer:
        scorer.jpeg_device = "cpu"
        scorer.bundle = scorer.bundle.with_gpu_decoding()
        yield scorer


@pytest.fixture
def plain(tiny_bundle: Path) -> Iterator[Scorer]:
    with Scorer(tiny_bundle, device="cpu", batch_size=2) as scorer:
        yield scorer


def run(scorer: Scorer, paths: list[Path], **options: Any) -> list[Result]:
    with Pipeline(scorer, **({"workers": 1} | options)) as pipeline:
        return [outcome.result for outcome in pipeline.run(map(str, paths))]


def written(folder: Path, files: dict[str, bytes]) -> list[Path]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def test_workers_give_the_cpu_s_scores_and_name_what_the_cpu_decoded(
    codec: None, scorer: Scorer, plain: Scorer, tmp_path: Path
) -> None:
    file = io.BytesIO()
    scene().save(file, "PNG")
    files = {
        "plain.jpg": jpeg(scene()),
        "cmyk.jpg": jpeg(scene("CMYK")),
        "turned.jpg": jpeg(scene(), exif=exif(6)),
        "half.jpg": jpeg(scene())[:4000],
        "profile.jpg": jpeg(scene(), icc_profile=wide_gamut()),
        "grey.jpg": jpeg(scene("L")),
        "small.jpg": jpeg(scene(size=(30, 20))),
        "other.png": file.getvalue(),
        "text.jpg": b"no photograph",
        "last.jpg": jpeg(scene()),
    }
    paths = written(tmp_path, files)
    ones, twos = run(plain, paths), run(scorer, paths)
    assert [one.path for one in ones] == [two.path for two in twos] == list(map(str, paths))
    by_cpu = set()
    for one, two in zip(ones, twos, strict=True):
        assert two.model == f"{one.model}+nvjpeg"
        if isinstance(one, Failure):
            assert isinstance(two, Failure)
            assert (two.code, two.message) == (one.code, one.message)
            continue
        assert isinstance(two, Score)
        assert (two.width, two.height) == (one.width, one.height)
        # A level of one crop in a thousand: the tiny model's quality is the mean level / 25.5.
        assert two.raw == pytest.approx(one.raw, abs=0.2 / 25.5)
        if "cpu_decoded" in two.warnings:
            assert two.raw == one.raw
            by_cpu.add(Path(two.path or "").name)
    assert by_cpu == {"cmyk.jpg", "profile.jpg", "small.jpg"}
    assert [type(two) for two in twos].count(Failure) == 2


def test_odd_images_have_the_end_that_they_have_on_the_cpu(
    codec: None, scorer: Scorer, plain: Scorer, shared_data: Path
) -> None:
    """Files that fuzzers made and that decoders stumbled over; the tiny model shrinks, so they go there."""
    paths = sorted(path for path in (shared_data / "odd_images").rglob("*") if path.is_file())[::4]
    ones, twos = run(plain, paths), run(scorer, paths)
    assert [two.path for two in twos] == list(map(str, paths))
    for one, two in zip(ones, twos, strict=True):
        if isinstance(two, Score) and "cpu_decoded" not in two.warnings:
            # Damage within its data may be filled up in another way, and is not told of.
            assert isinstance(one, Score)
            assert one.raw == pytest.approx(two.raw, abs=0.01) or "jpeg_corrupt_data" in one.warnings
        elif isinstance(two, Score):
            assert isinstance(one, Score)
            assert (two.raw, set(two.warnings)) == (one.raw, {"cpu_decoded", *one.warnings})
        else:
            assert isinstance(one, Failure)
            assert (two.code, two.message) == (one.code, one.message)


def test_this_process_and_workers_give_the_same(codec: None, scorer: Scorer, tmp_path: Path) -> None:
    paths = written(tmp_path, {"a.jpg": jpeg(scene()), "b.jpg": jpeg(scene("CMYK"))})
    assert list(scorer.score_many(paths)) == run(scorer, paths)


def test_what_libraries_have_reserved_does_not_count_as_memory_of_files(
    codec: None, scorer: Scorer, tmp_path: Path
) -> None:
    """The process alone has more than this limit; a file may use so much on top of it, and no more."""
    paths = written(tmp_path, {"a.jpg": jpeg(scene()), "b.png": b""})
    Image.new("RGB", (6000, 6000)).save(paths[1])
    small, large = run(scorer, paths, limits=WorkerLimits(memory_bytes=100_000_000))
    assert isinstance(small, Score)
    assert small.warnings == ()
    assert isinstance(large, Failure)
    assert large.code == "too_large"


def test_crops_at_random_places_are_of_the_whole_photograph(
    codec: None, scorer: Scorer, plain: Scorer, tmp_path: Path
) -> None:
    """For comparison with the authors' figures: nothing is shrunk, so the CPU decodes."""
    paths = written(tmp_path, {"a.jpg": jpeg(scene())})
    (one,), (two,) = run(plain, paths, seed=1), run(scorer, paths, seed=1)
    assert isinstance(one, Score)
    assert isinstance(two, Score)
    assert one.raw == two.raw


# With another nvImageCodec

STAND_IN = """
import io, os, signal
import numpy as np
from PIL import Image

CPU_ONLY = GPU_ONLY = HW_GPU_ONLY = HYBRID_CPU_GPU = SRGB = P_RGB = 0
NVIMGCODEC_DEVICE_CPU_ONLY = -99999

def Backend(kind):
    return kind

def DecodeParams(**options):
    return options

def CodeStream(data):
    return data

class Decoder:
    def __init__(self, **options):
        assert options["max_num_cpu_threads"] == 1

    def decode(self, data, params):
        if b"SEGV" in data:
            os.kill(os.getpid(), signal.SIGSEGV)
        if b"RAISE" in data:
            raise RuntimeError("CUDA error 700")
        if b"NONE" in data:
            return None
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        if b"SIZE" in data:
            pixels = pixels[1:]
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[ORDER])
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with the stand-in, for this process and for workers."""
    folder = tmp_path / "path"
    module = folder / "nvidia" / "nvimgcodec"
    module.mkdir(parents=True)
    (module.parent / "__init__.py").touch()
    (module / "__init__.py").write_text(STAND_IN.replace("ORDER", "::1"))
    monkeypatch.syspath_prepend(folder)
    names = "nvidia", "nvidia.nvimgcodec"
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield module / "__init__.py"
    for name in names:
        sys.modules.pop(name, None)


def test_a_file_that_ends_its_process_there_is_decoded_by_the_cpu(
    stand_in: Path, scorer: Scorer, plain: Scorer, tmp_path: Path
) -> None:
    comments = ("fine", "SEGV", "fine too", "RAISE", "NONE", "SIZE")
    files = {f"{number}.jpg": jpeg(scene(), comment=word) for number, word in enumerate(comments)}
    paths = written(tmp_path, files)
    found = [result for result in run(scorer, paths) if isinstance(result, Score)]
    assert [result.path for result in found] == list(map(str, paths))
    assert [result.warnings for result in found] == [(), *[("cpu_decoded",)], (), *[("cpu_decoded",)] * 3]
    (wanted, *_) = run(plain, paths)
    assert isinstance(wanted, Score)
    assert found[1].raw == wanted.raw


def test_a_device_that_gives_other_pixels_is_refused_at_the_start(
    stand_in: Path, scorer: Scorer, tmp_path: Path
) -> None:
    stand_in.write_text(STAND_IN.replace("ORDER", "::-1"))
    with pytest.raises(
        BackendError, match=r"decoded on cpu is another picture than the CPU's: \d+\.\d levels"
    ):
        DeviceDecoder("cpu", SMALL)
    with pytest.raises(BackendError, match=r"cannot start \(.*another picture"):
        run(scorer, written(tmp_path, {"a.jpg": jpeg(scene())}))


def test_a_codec_that_gives_nothing_is_refused_with_what_may_be_missing(stand_in: Path) -> None:
    stand_in.write_text(STAND_IN.replace("ORDER", "::1").replace('b"NONE" in data', "True"))
    with pytest.raises(
        BackendError, match=r"gives no picture; is nvJPEG installed \(pip install 'dgqa-infer"
    ):
        DeviceDecoder("cpu", SMALL)


def test_a_codec_that_cannot_be_loaded_says_what_is_wrong(stand_in: Path) -> None:
    stand_in.write_text("raise ImportError('libcudart.so.13: cannot open shared object file')")
    with pytest.raises(BackendError, match=r"libcudart\.so\.13.*dgqa-infer\[gpu-decode\]"):
        DeviceDecoder("cpu", SMALL)


def test_another_filter_is_refused(stand_in: Path) -> None:
    with pytest.raises(BackendError, match="bicubic, not with lanczos"):
        DeviceDecoder("cpu", Preprocessing("other", 64, 32, 5, filter="lanczos"))


# Who may ask for it


def a_gpu(index: int) -> gpu.Gpu:
    if index > 1:
        raise BackendError(f"there is no cuda:{index}; the driver shows 2 GPU(s)")
    return gpu.Gpu(index, "NVIDIA H100 80GB HBM3", "9.0", 80 << 30, "580.82.07")


@pytest.mark.parametrize(
    ("device", "where"),
    [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("tensorrt:1", "cuda:1")],
)
def test_the_gpu_of_the_model_decodes(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, device: str, where: str
) -> None:
    monkeypatch.setattr(gpu, "gpu", a_gpu)
    assert device_beside(device) == where


@pytest.mark.parametrize(("device", "words"), [("cpu", "not on cpu"), ("openvino", "not on openvino")])
def test_a_model_on_a_cpu_has_no_gpu_to_decode_on(device: str, words: str) -> None:
    with pytest.raises(BackendError, match=rf"{words}: --device cuda, and pip install 'dgqa-infer\[gpu-dec"):
        device_beside(device)


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"not installed: pip install 'dgqa-infer\[gpu-decode\]'"):
        device_beside("cuda")


def test_without_a_gpu_the_reason_is_told(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "gpu", a_gpu)
    with pytest.raises(BackendError, match=r"there is no cuda:7; .* pip install 'dgqa-infer\[gpu-decode\]'"):
        device_beside("cuda:7")


def test_a_model_that_came_to_run_elsewhere_is_refused(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a GPU, but no runtime for it: "auto" has taken the CPU."""
    monkeypatch.setattr(nvjpeg, "device_beside", lambda device: "cuda:0")
    with pytest.raises(BackendError, match="runs there"):
        Scorer(tiny_bundle, device="auto", gpu_decode=True)


def test_what_excludes_it_is_named(tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match="leave out strict or gpu_decode"):
        Scorer(tiny_bundle, gpu_decode=True, strict=True)
    with pytest.raises(UsageError, match="leave out fast_decode or gpu_decode"):
        Scorer(tiny_bundle, gpu_decode=True, fast_decode=True)


@pytest.mark.parametrize("option", ["strict", "fast_decode"])
def test_actors_of_a_cluster_are_not_told_what_excludes_it(tiny_bundle: Path, option: str) -> None:
    from dgqa_infer.ray.settings import Settings

    with pytest.raises(UsageError, match=f"leave out {option} or gpu_decode"):
        Settings.of(Bundle.load(tiny_bundle), gpu_decode=True, **{option: True})


def test_actors_without_a_gpu_do_not_decode_on_one() -> None:
    from dgqa_infer.ray import score_dataset

    dataset: Any = None
    with pytest.raises(UsageError, match="leave out gpu_decode or separate_decoding"):
        score_dataset(dataset, gpu_decode=True, separate_decoding=True)


def test_the_command_line_says_in_a_sentence_why_not(cli: Any, tiny_bundle: Path, photos: Path) -> None:
    ran = cli("score", photos, "--model", tiny_bundle, "--device", "cpu", "--gpu-decode")
    assert ran.code == 2
    assert ran.stdout == b""
    assert "pip install 'dgqa-infer[gpu-decode]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_other_pixels_have_another_id(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    on_gpu = bundle.with_gpu_decoding()
    assert on_gpu.model_id == f"{bundle.model_id}+nvjpeg"
    assert on_gpu.card.preprocessing.id == f"{bundle.card.preprocessing.id}-nvjpeg"
    assert Preprocessing.from_card(on_gpu.card.preprocessing.as_card()) == on_gpu.card.preprocessing
    assert "decoder" not in bundle.card.preprocessing.as_card()
