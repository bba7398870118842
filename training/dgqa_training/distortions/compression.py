"""Compression: #09 JPEG 2000, #10 JPEG. Written to memory and read again, as the original does to disk."""

# Every type takes a generator, whether it draws from it or not.
# ruff: noqa: ARG001

import io

import numpy as np
from PIL import Image

from dgqa_training.distortions._arrays import FloatImage, from_bytes, to_bytes

_MOST_RESOLUTIONS = 6  # OpenJPEG's default: five wavelet levels


def jpeg2000(image: FloatImage, ratio: float, generator: np.random.Generator) -> FloatImage:
    """#09 JPEG 2000: one quality layer at a compression ratio, irreversible wavelet and colour transform.

    MATLAB writes with another encoder; the ratio (raw bytes over file bytes) is what is equal.
    Source: [M] `imcompressjp2k`, level 5 is 400 there.

    Args:
        image: float32 [h, w, 3], 0–1.
        ratio: raw size divided by compressed size.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    return _decode(jpeg2000_bytes(image, ratio))


def jpeg2000_bytes(image: FloatImage, ratio: float) -> bytes:
    """The JP2 file of #09; see `jpeg2000`."""
    pixels = Image.fromarray(to_bytes(image))
    # Each wavelet level halves the image; OpenJPEG refuses more levels than the shorter side has halvings.
    resolutions = min(_MOST_RESOLUTIONS, min(pixels.size).bit_length())
    file = io.BytesIO()
    pixels.save(
        file,
        format="JPEG2000",
        irreversible=True,
        mct=1,  # MATLAB's encoder decorrelates the colours; Pillow does not unless told, and loses 3–6 dB
        quality_mode="rates",
        quality_layers=[ratio],
        num_resolutions=resolutions,
    )
    return file.getvalue()


def jpeg(image: FloatImage, quality: float, generator: np.random.Generator) -> FloatImage:
    """#10 JPEG: libjpeg's quality scale, colour at half resolution (4:2:0), as MATLAB's `imwrite`.

    Source: [M] `imcompressjpeg`.

    Args:
        image: float32 [h, w, 3], 0–1.
        quality: 1–100, a whole number, 100 is best.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    file = io.BytesIO()
    Image.fromarray(to_bytes(image)).save(file, format="JPEG", quality=int(quality), subsampling="4:2:0")
    return _decode(file.getvalue())


def _decode(data: bytes) -> FloatImage:
    with Image.open(io.BytesIO(data)) as opened:
        return from_bytes(np.asarray(opened.convert("RGB")))
