"""Engines: which is loaded, which never is, and that a batch is filled, cut and put together again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgqa_infer.backends import gpu
from dgqa_infer.backends.base import Backend
from dgqa_infer.backends.tensorrt.backend import open_tensorrt
from dgqa_infer.backends.tensorrt.cuda import Cuda
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.backends.tensorrt.engine_key import BatchProfile, EngineRecord, Environment
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import BackendError

Store = Callable[..., EngineRecord]


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


def crops(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def grey(stack: Any) -> Any:
    """What the tiny bundle's graph says, by hand."""
    return stack.mean(axis=(1, 2, 3)) / 25.5


@pytest.mark.parametrize("count", [1, 2, 4, 5, 16, 17, 50])
def test_every_batch_comes_back_whole_and_in_order(
    bundle: Bundle, trt: Any, store: Store, count: int
) -> None:
    store()
    with open_tensorrt(bundle, "model.onnx") as backend:
        assert isinstance(backend, Backend)
        assert (backend.name, backend.device) == ("tensorrt", "cuda:0")
        outputs = backend.infer(crops(count))
        assert outputs["quality"] == pytest.approx(grey(crops(count)), abs=1e-5)
        assert outputs["quality_map"].shape == (count, 2, 2)
        again = backend.infer(crops(count, seed=1))
    # The first answer is a copy: the second did not write over it.
    assert outputs["quality"] == pytest.approx(grey(crops(count)), abs=1e-5)
    assert again["quality"] == pytest.approx(grey(crops(count, seed=1)), abs=1e-5)


def test_three_batch_sizes_are_recorded_once_and_repeated(
    bundle: Bundle, cuda: Any, trt: Any, store: Store
) -> None:
    store()
    with open_tensorrt(bundle, "model.onnx") as backend:
        for count in (1, 3, 4, 9, 16, 1, 2, 12):
            backend.infer(crops(count))
        assert cuda.recorded == 3
        assert cuda.launched == 8
        assert backend.cuda_graphs
        assert backend._engine.contexts == 3


def test_where_graphs_cannot_be_recorded_batches_are_queued_one_by_one(
    bundle: Bundle, cuda: Any, trt: Any, store: Store
) -> None:
    store()
    cuda.records = False
    with open_tensorrt(bundle, "model.onnx") as backend:
        for count in (3, 4, 2):
            assert backend.infer(crops(count))["quality"] == pytest.approx(grey(crops(count)), abs=1e-5)
        assert not backend.cuda_graphs
        assert cuda.launched == 0


def test_close_frees_all_and_ends_it(bundle: Bundle, cuda: Any, trt: Any, store: Store) -> None:
    store()
    backend = open_tensorrt(bundle, "model.onnx")
    backend.infer(crops(3))
    assert cuda.live
    backend.close()
    backend.close()
    assert not cuda.live
    with pytest.raises(BackendError, match="closed"):
        backend.infer(crops(1))


def test_a_backend_that_is_closed_while_it_infers_frees_nothing_until_the_batch_has_ended(
    bundle: Bundle, cuda: Any, trt: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store()
    backend = open_tensorrt(bundle, "model.onnx")
    backend.infer(crops(3))
    in_use, real = set(cuda.live), cuda.cudaStreamSynchronize
    closing = threading.Thread(target=backend.close)

    def synchronize(stream: int) -> Any:
        if not closing.ident:
            closing.start()
            closing.join(0.5)
            assert set(cuda.live) == in_use
        return real(stream)

    monkeypatch.setattr(cuda, "cudaStreamSynchronize", synchronize)
    assert backend.infer(crops(3, 1))["quality"] == pytest.approx(grey(crops(3, 1)), abs=1e-5)
    closing.join()
    assert not cuda.live
    with pytest.raises(BackendError, match="closed"):
        backend.infer(crops(1))


def test_code_for_the_host_stays_forbidden(bundle: Bundle, trt: Any, store: Store) -> None:
    store()
    with open_tensorrt(bundle, "model.onnx"):
        assert [runtime.engine_host_code_allowed for runtime in trt.runtimes] == [False]


def test_an_engine_that_tensorrt_refuses_is_an_error_in_its_words_and_frees_all(
    bundle: Bundle, cuda: Any, trt: Any, store: Store
) -> None:
    store(b"something else")
    with pytest.raises(BackendError, match="TensorRT cannot load its engine: Serialization assertion"):
        open_tensorrt(bundle, "model.onnx")
    assert not cuda.live


def test_an_engine_with_another_input_is_refused(bundle: Bundle, cuda: Any, trt: Any, store: Store) -> None:
    store()
    trt.input_type = trt.DataType.FLOAT
    with pytest.raises(BackendError, match="not uint8"):
        open_tensorrt(bundle, "model.onnx")
    assert not cuda.live


def test_crops_of_another_size_are_refused(bundle: Bundle, trt: Any, store: Store) -> None:
    store()
    with open_tensorrt(bundle, "model.onnx") as backend, pytest.raises(BackendError, match="32, 32, 3"):
        backend.infer(np.zeros((1, 16, 16, 3), np.uint8))


def test_too_little_memory_says_how_much_is_free(bundle: Bundle, cuda: Any, trt: Any, store: Store) -> None:
    store(profile=BatchProfile(1, 8, 2000))
    cuda.room = 3 << 20
    with pytest.raises(BackendError, match=r"cuda:0: out of memory \(3 of 81920 MB are free"):
        open_tensorrt(bundle, "model.onnx")
    assert not cuda.live


def test_a_stripped_engine_gets_its_weights_from_the_graph(bundle: Bundle, trt: Any, store: Store) -> None:
    store(options=("stripped",))
    with open_tensorrt(bundle, "model.onnx"):
        assert trt.refitted == [bundle.graph_bytes("model.onnx")]


def test_of_two_engines_the_one_with_the_larger_batch_is_taken(
    bundle: Bundle, trt: Any, store: Store
) -> None:
    store(profile=BatchProfile(1, 4, 64))
    store(profile=BatchProfile(1, 8, 8))
    with open_tensorrt(bundle, "model.onnx") as backend:
        assert backend.record.key.profile == BatchProfile(1, 4, 64)


def test_without_an_engine_the_command_that_builds_one_is_named(bundle: Bundle, trt: Any, cache: Any) -> None:
    with pytest.raises(BackendError) as error:
        open_tensorrt(bundle, "model.onnx")
    said = (
        f"there is no TensorRT engine of this model yet; build it: dgqa-infer export {bundle.path} --engine"
    )
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "10.13.3.9"}, "built with tensorrt 10.13.3.9, this is 11.4.0.106"),
        ({"gpu": "NVIDIA Other"}, "built for NVIDIA Other, this is NVIDIA Test 1"),
        ({"driver": "570.0"}, "built under driver 570.0, this is 580.1"),
        ({"flavour": "tensorrt_rtx"}, "built with tensorrt_rtx, this is tensorrt"),
    ],
)
def test_a_stale_engine_is_refused_and_never_loaded(
    bundle: Bundle, cuda: Any, trt: Any, store: Store, change: dict[str, str], said: str
) -> None:
    here = Environment("tensorrt", "11.4.0.106", "NVIDIA Test 1", "9.0", "580.1")
    store(environment=replace(here, **change))
    with pytest.raises(BackendError, match=f"is stale: it was {said}; build it: dgqa-infer export"):
        open_tensorrt(bundle, "model.onnx")
    assert trt.runtimes == []


def test_an_engine_for_another_preprocessing_is_refused(bundle: Bundle, trt: Any, store: Store) -> None:
    store(preprocessing="other")
    with pytest.raises(BackendError, match="built for another preprocessing"):
        open_tensorrt(bundle, "model.onnx")


def test_an_engine_of_another_graph_is_not_seen(bundle: Bundle, trt: Any, store: Store) -> None:
    store(graph="0" * 64)
    with pytest.raises(BackendError, match="no TensorRT engine of this model"):
        open_tensorrt(bundle, "model.onnx")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda data: data[:-1], "is truncated"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "its sha256 has changed"),
        (lambda data: data + b"more", "its sha256 has changed"),
        (lambda data: b"", "is truncated: 0 of"),
    ],
)
def test_a_damaged_engine_is_refused_and_never_loaded(
    bundle: Bundle, trt: Any, cache: EngineCache, store: Store, harm: Callable[[bytes], bytes], said: str
) -> None:
    record = store()
    engine = cache.folder / f"{record.key.digest}.engine"
    engine.write_bytes(harm(engine.read_bytes()))
    with pytest.raises(BackendError, match=said):
        open_tensorrt(bundle, "model.onnx")
    assert trt.runtimes == []


def test_a_missing_engine_file_is_named(bundle: Bundle, trt: Any, cache: EngineCache, store: Store) -> None:
    record = store()
    (cache.folder / f"{record.key.digest}.engine").unlink()
    with pytest.raises(BackendError, match=r"\.engine cannot be read \(No such file"):
        open_tensorrt(bundle, "model.onnx")


def test_other_graphs_have_no_engines(bundle: Bundle, trt: Any) -> None:
    with pytest.raises(BackendError, match=r"built of model\.onnx alone"):
        open_tensorrt(bundle, "domains.onnx")


def test_without_a_gpu_nothing_of_tensorrt_is_imported(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Any:
        raise BackendError("there is no NVIDIA driver here (libcuda.so.1 is not found)")

    monkeypatch.setattr(gpu, "gpus", none)
    monkeypatch.setattr("dgqa_infer.backends.tensorrt.api.load", lambda _: pytest.fail("imported"))
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        open_tensorrt(bundle, "model.onnx")


def test_a_gpu_that_is_not_there_is_named(bundle: Bundle, trt: Any) -> None:
    with pytest.raises(BackendError, match=r"no cuda:3; the driver shows 1 GPU"):
        open_tensorrt(bundle, "model.onnx", 3)


def test_without_the_cuda_bindings_the_extra_is_named(
    bundle: Bundle, cuda: Any, trt: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store()
    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings.runtime", None)
    with pytest.raises(
        BackendError, match=r"cuda-python is not installed: pip install 'dgqa-infer\[tensorrt\]'"
    ):
        open_tensorrt(bundle, "model.onnx")


def test_bindings_that_find_no_cuda_are_not_called_missing(
    bundle: Bundle, cuda: Any, trt: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store()

    def fail(name: str) -> Any:
        raise RuntimeError("Failed to dlopen libcudart.so.13")

    monkeypatch.setattr("dgqa_infer.backends.tensorrt.cuda.importlib.import_module", fail)
    with pytest.raises(BackendError, match=r"does not find CUDA \(Failed to dlopen libcudart.so.13\)"):
        Cuda(0)
