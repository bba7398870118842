"""JPEGs decoded and shrunk on a device, tried on nvImageCodec's own codec for CPUs; the oracle is Pillow.

That codec is libjpeg-turbo, so what differs from Pillow's pixels is the shrinking alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from jpegs import exif, jpeg, scene
from numpy.typing import NDArray
from PIL import ImageCms

from dgqa_infer import Bundle, ImageError, Scorer
from dgqa_infer.bundle.preprocessing import FULL, Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_infer.images.crops import crops, shrink
from dgqa_infer.images.decode import decode
from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder
from dgqa_infer.images.decoders.pillow import open_as

SMALL = Preprocessing(id="test-short64-grid5-32", short_side=64, crop=32, grid=5)
Nearly: TypeAlias = Callable[[NDArray[np.uint8], NDArray[np.uint8]], None]


@pytest.fixture(scope="module")
def decoder(codec: None) -> DeviceDecoder:
    return DeviceDecoder("cpu", SMALL)


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
    decoder: DeviceDecoder, nearly: Nearly, mode: str, options: dict[str, Any]
) -> None:
    data = jpeg(scene(mode), **options)
    image = open_as(data, "JPEG")
    found = decoder.decode(data, image, 1)
    assert found is not None
    nearly(found, shrink(np.asarray(image.convert("RGB")), SMALL))


@pytest.mark.parametrize("name", ["Issue_525.jpg", "Samsung_GT-I9100_Galaxy_SII.jpg"])
def test_photographs_of_cameras_have_the_cpu_s_crops_up_to_rounding(
    codec: None, nearly: Nearly, shared_data: Path, name: str
) -> None:
    on_device = DeviceDecoder("cpu", FULL)
    data = (shared_data / "photos" / name).read_bytes()
    one, two = decode(data), decode(data, on_device=on_device)
    assert (two.width, two.height, two.warnings) == (one.width, one.height, ())
    assert min(two.pixels.shape[:2]) == 512
    nearly(crops(two.pixels, FULL)[0], crops(one.pixels, FULL)[0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_upright(decoder: DeviceDecoder, nearly: Nearly, orientation: int) -> None:
    data = jpeg(scene(), exif=exif(orientation))
    one, two = decode(data), decode(data, on_device=decoder)
    assert (two.width, two.height) == (one.width, one.height)
    assert two.warnings == ()
    nearly(crops(two.pixels, SMALL)[0], crops(one.pixels, SMALL)[0])


def test_an_srgb_profile_changes_nothing(decoder: DeviceDecoder) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decode(jpeg(scene(), icc_profile=profile), on_device=decoder).warnings == ()


@pytest.mark.parametrize(
    ("data", "others"),
    [
        pytest.param(jpeg(scene("CMYK")), ("cmyk_without_profile",), id="CMYK"),
        pytest.param(jpeg(scene(), keep_rgb=True), (), id="planes of RGB"),
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


def test_another_profile_than_srgb_is_read_by_the_cpu(decoder: DeviceDecoder, wide_gamut: bytes) -> None:
    data = jpeg(scene(), icc_profile=wide_gamut)
    one, two = decode(data), decode(data, on_device=decoder)
    assert not np.array_equal(one.pixels, decode(jpeg(scene())).pixels)
    assert np.array_equal(one.pixels, two.pixels)
    assert two.warnings == ("cpu_decoded",)


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
    assert two in (one, ("cpu_decoded", *one))


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


def test_a_model_for_a_gpus_decoder_is_not_scored_with_the_cpus(tiny_bundle: Path) -> None:
    on_gpu = Bundle.load(tiny_bundle).with_gpu_decoding()
    with pytest.raises(UsageError, match='photographs that a GPU decodes: say decoding="gpu"'):
        Scorer(on_gpu, device="cpu")


def test_other_pixels_have_another_id(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    on_gpu = bundle.with_gpu_decoding()
    assert on_gpu.model_id == f"{bundle.model_id}+nvjpeg"
    assert on_gpu.card.preprocessing.id == f"{bundle.card.preprocessing.id}-nvjpeg"
    assert on_gpu.with_gpu_decoding() == on_gpu
    assert "decoder" not in bundle.card.preprocessing.as_card()
