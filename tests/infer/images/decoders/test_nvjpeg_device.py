"""What decodes on a device is tried before it is used; and who may ask for it. A stand-in is the GPU."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from jpegs import exif, jpeg, scene
from numpy.typing import NDArray

from dgqa_infer import BackendError, Scorer, UsageError
from dgqa_infer.backends import gpu, onnx_runtime
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.cli._summary import Summary
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode
from dgqa_infer.images.decoders import nvjpeg
from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder, device_beside

SMALL = Preprocessing(id="test-short64-grid5-32", short_side=64, crop=32, grid=5)


def test_other_pixels_than_the_cpu_s_are_refused(stand_in: Path) -> None:
    stand_in.write_text(stand_in.read_text().replace("::1", "::-1"))
    with pytest.raises(
        BackendError, match=r"decoded on cpu is another picture than the CPU's: \d+\.\d levels"
    ):
        DeviceDecoder("cpu", SMALL)


def test_a_codec_that_gives_nothing_is_refused_with_what_may_be_missing(stand_in: Path) -> None:
    stand_in.write_text(stand_in.read_text().replace('b"NONE" in data', "True"))
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


class OnHost:
    """A session on the CPU that takes addresses of a GPU for its own; and its one binding."""

    def __init__(self, session: Any, said: list[Any]) -> None:
        self.session, self.said = session, said

    def io_binding(self) -> OnHost:
        self.binding = self.session.io_binding()
        return self

    def bind_input(self, name: str, kind: str, index: int, *rest: Any) -> None:
        self.said.append((kind, index))
        self.binding.bind_input(name, "cpu", 0, *rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.binding, name)

    def run_with_iobinding(self, binding: OnHost) -> None:
        self.said.append("shrunk")
        self.session.run_with_iobinding(binding.binding)


@pytest.fixture
def said(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the parts of a GPU's decoder are told, in its order."""
    told: list[Any] = []
    codec = importlib.import_module("nvidia.nvimgcodec")
    for kind in ("CPU_ONLY", "GPU_ONLY", "HW_GPU_ONLY", "HYBRID_CPU_GPU"):
        monkeypatch.setattr(codec, kind, kind)

    class Decoder(codec.Decoder):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            told.append((options["device_id"], options["backends"]))
            super().__init__(**options)

        def decode(self, data: bytes, params: dict[str, Any]) -> Any:
            told.append("decoded")
            self.pixels = super().decode(data, params)
            memory = dict(self.pixels.__array_interface__)
            return SimpleNamespace(shape=self.pixels.shape, __cuda_array_interface__=memory)

    def on_host(graph: bytes, device: str, threads: int, *, every_node: bool) -> OnHost:
        told.append((device, every_node))
        return OnHost(open_session(graph, "cpu", threads), told)

    open_session = onnx_runtime.open_session
    monkeypatch.setattr(codec, "Decoder", Decoder)
    monkeypatch.setattr(onnx_runtime, "open_session", on_host)
    monkeypatch.setattr(gpu, "synchronizer", lambda index: lambda: told.append(f"waited for {index}"))
    return told


def test_a_gpu_is_waited_for_and_nothing_runs_elsewhere(
    said: list[Any], nearly: Callable[[NDArray[np.uint8], NDArray[np.uint8]], None]
) -> None:
    on_gpu = DeviceDecoder("cuda:1", SMALL)
    assert said[:3] == [
        (1, ["HW_GPU_ONLY", "GPU_ONLY", "HYBRID_CPU_GPU"]),
        ("cuda:1", True),
        ("cuda:1", True),
    ]
    one = ["decoded", "waited for 1", ("cuda", 1), "shrunk"]
    assert said[3:] == one * 2
    data = jpeg(scene(), exif=exif(6))
    photograph = decode(data, on_device=on_gpu)
    assert said[11:] == one
    nearly(crops(photograph.pixels, SMALL)[0], crops(decode(data).pixels, SMALL)[0])


def test_a_gpu_that_fails_later_leaves_the_rest_to_the_cpu(
    said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        if broken:
            raise BackendError("cuda:0 has failed (CUDA error 700)")

    broken = False
    monkeypatch.setattr(gpu, "synchronizer", lambda index: fail)
    on_gpu = DeviceDecoder("cuda:0", SMALL)
    assert decode(jpeg(scene()), on_device=on_gpu).warnings == ()
    broken = True
    assert decode(jpeg(scene()), on_device=on_gpu).warnings == ("cpu_decoded",)


def test_a_gpu_that_fails_at_once_is_refused_with_its_own_words(
    said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise BackendError("cuda:0 has failed (CUDA error 700)")

    monkeypatch.setattr(gpu, "synchronizer", lambda index: fail)
    with pytest.raises(BackendError, match=r"cannot be decoded on cuda:0: .*CUDA error 700"):
        DeviceDecoder("cuda:0", SMALL)


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
        Scorer(tiny_bundle, device="auto", decoding="gpu")


def test_what_excludes_it_is_named(tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match="does not report damaged data"):
        Scorer(tiny_bundle, decoding="gpu", strict=True)


def test_actors_without_a_gpu_do_not_decode_on_one() -> None:
    from dgqa_infer.ray import score_dataset

    dataset: Any = None
    with pytest.raises(UsageError, match="actors that only decode have no GPU"):
        score_dataset(dataset, decoding="gpu", separate_decoding=True)


def test_one_way_of_decoding_excludes_the_other_on_the_command_line(cli: Any, photos: Path) -> None:
    ran = cli("score", photos, "--gpu-decode", "--fast-decode")
    assert ran.code == 2
    assert "--fast-decode and --gpu-decode exclude each other" in ran.stderr


def test_a_run_tells_how_many_the_cpu_decoded() -> None:
    told = Summary("tiny@00000000+nvjpeg", "onnxruntime", "cuda:0")
    for words in ([], ["cpu_decoded"], ["upscaled", "cpu_decoded"]):
        told.count({"path": "a.jpg", "score": 50.0, "warnings": words})
    assert "2 JPEGs decoded by the CPU instead of the GPU; their rows say so" in told.sentences()
    assert len(Summary("tiny@00000000", "onnxruntime", "cpu").sentences()) == 1


def test_the_command_line_says_in_a_sentence_why_not(cli: Any, tiny_bundle: Path, photos: Path) -> None:
    ran = cli("score", photos, "--model", tiny_bundle, "--device", "cpu", "--gpu-decode")
    assert ran.code == 2
    assert ran.stdout == b""
    assert "pip install 'dgqa-infer[gpu-decode]'" in ran.stderr
    assert "Traceback" not in ran.stderr
