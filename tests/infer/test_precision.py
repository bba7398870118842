"""Which graph scores: in fp32 or int8, as asked for, or as suits the processor; and rows say which."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from dgqa_infer import Bundle, ModelError, Scorer, UsageError, options
from dgqa_infer.backends import choice, gpu
from dgqa_infer.bundle.bundle import INT8_GRAPH, write_bundle
from dgqa_infer.options import ScoringOptions
from dgqa_infer.ray.settings import Settings


@pytest.fixture(scope="module")
def both(models: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose second graph gives twice the quality: so it is seen which one ran."""
    graph: onnx.ModelProto = models.quality_graph()
    for constant in graph.graph.initializer:
        if constant.name == "scale":
            constant.CopyFrom(numpy_helper.from_array(np.array(51.0, np.float32), "scale"))
    graphs = {
        "model.onnx": models.quality_graph().SerializeToString(),
        INT8_GRAPH: graph.SerializeToString(),
        "domains.onnx": models.domain_graph().SerializeToString(),
    }
    return write_bundle(tmp_path_factory.mktemp("both") / "tiny", graphs, models.card())


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend to be on another machine."""

    def be(*, dot_products: bool, a_gpu: bool = False) -> None:
        monkeypatch.delenv(options.PREFERRED, raising=False)
        monkeypatch.setattr(options, "multiplies_int8", lambda: dot_products)
        monkeypatch.setattr(choice, "takes_gpu", lambda bundle: a_gpu)

    return be


@pytest.mark.parametrize(
    ("dot_products", "a_gpu", "device", "precision", "taken"),
    [
        (True, False, "auto", "auto", "int8"),
        (True, False, "cpu", "auto", "int8"),
        (True, True, "cpu", "auto", "int8"),
        (True, True, "auto", "auto", "fp32"),
        (True, True, "cuda:0", "auto", "fp32"),
        (False, False, "auto", "auto", "fp32"),
        (False, False, "cpu", "int8", "int8"),
        (True, False, "cpu", "fp32", "fp32"),
    ],
)
def test_auto_is_int8_where_the_processor_is_fast_in_it_and_no_gpu_scores(
    both: Bundle,
    processor: Callable[..., None],
    dot_products: bool,
    a_gpu: bool,
    device: str,
    precision: Any,
    taken: str,
) -> None:
    processor(dot_products=dot_products, a_gpu=a_gpu)
    chosen = ScoringOptions(device=device, precision=precision).bundle_for(both)
    assert chosen.card.precision == taken


def test_a_gpu_that_no_runtime_here_can_use_does_not_keep_auto_from_int8(
    both: Bundle, monkeypatch: pytest.MonkeyPatch, a_gpu: gpu.Gpu, gpu_runtime: dict[str, Any]
) -> None:
    monkeypatch.delenv(options.PREFERRED, raising=False)
    monkeypatch.setattr(options, "multiplies_int8", lambda: True)
    assert ScoringOptions().bundle_for(both).card.precision == "fp32"
    monkeypatch.setattr(choice, "_opens_on_gpu", {})
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert ScoringOptions().bundle_for(both).card.precision == "int8"
    with Scorer(both) as scorer:
        assert scorer.device == "cpu"
        assert scorer.unused_gpu is not None
        assert "has no CUDA: pip uninstall onnxruntime && pip install 'dgqa-infer[gpu]'" in scorer.unused_gpu


@pytest.mark.parametrize("dot_products", [False, True])
@pytest.mark.parametrize("wish", ["fp32", "int8"])
def test_the_environment_may_say_so_for_machines_of_several_kinds(
    both: Bundle,
    tiny_bundle: Path,
    processor: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    dot_products: bool,
    wish: str,
) -> None:
    processor(dot_products=dot_products)
    monkeypatch.setenv("DGQA_PRECISION", wish)
    assert ScoringOptions().bundle_for(both).card.precision == wish
    # An option is nearer than the environment, and what a model has not nobody can prefer.
    assert ScoringOptions(precision="fp32").bundle_for(both).card.precision == "fp32"
    assert ScoringOptions().bundle_for(Bundle.load(tiny_bundle)).card.precision == "fp32"


def test_another_word_in_the_environment_is_refused(
    both: Bundle, processor: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(dot_products=True)
    monkeypatch.setenv("DGQA_PRECISION", "int4")
    with pytest.raises(UsageError, match="DGQA_PRECISION is 'int4'"):
        ScoringOptions().bundle_for(both)


def test_the_row_names_the_graph_that_gave_the_score(both: Bundle) -> None:
    photograph = np.full((80, 96, 3), 102, np.uint8)
    with (
        Scorer(both, device="cpu", precision="fp32") as single,
        Scorer(both, device="cpu", precision="int8") as int8,
    ):
        first, second = single.score(photograph), int8.score(photograph)
    assert first.raw == pytest.approx(4.0, abs=1e-5)
    assert second.raw == pytest.approx(2.0, abs=1e-5)
    assert first.model == f"tiny@{both.card.files['model.onnx'].sha256[:8]}"
    assert second.model == f"tiny-int8@{both.card.files[INT8_GRAPH].sha256[:8]}"


def test_the_map_is_exact_in_int8_as_well(both: Bundle) -> None:
    photograph = np.random.default_rng(1).integers(0, 256, (80, 96, 3), dtype=np.uint8)
    with Scorer(both, device="cpu", precision="int8", maps=True) as scorer:
        score = scorer.score(photograph)
    assert score.quality_map is not None
    assert np.mean(score.quality_map.cells) == pytest.approx(score.raw, abs=1e-5)


def test_a_bundle_without_an_int8_graph_runs_as_it_is_and_int8_is_refused(
    tiny_bundle: Path, processor: Callable[..., None]
) -> None:
    processor(dot_products=True)
    bundle = Bundle.load(tiny_bundle)
    assert ScoringOptions().bundle_for(bundle) == bundle
    with pytest.raises(ModelError, match=r"tiny has no int8 graph: make one with .*export --int8"):
        ScoringOptions(precision="int8").bundle_for(bundle)


def test_a_bundle_that_is_int8_alone_is_taken_as_it_is_and_fp32_refused(models: Any, tmp_path: Path) -> None:
    bundle = models.write(tmp_path / "model", precision="int8", name="alone")
    for precision in ("auto", "int8"):
        assert ScoringOptions(precision=precision).bundle_for(bundle) == bundle
    with pytest.raises(ModelError, match="alone is in int8, not in fp32"):
        ScoringOptions(precision="fp32").bundle_for(bundle)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="precision is 'bf16'"):
        ScoringOptions(precision="bf16")  # type: ignore[arg-type]


def test_a_damaged_int8_graph_is_found_when_the_bundle_is_loaded(both: Bundle, tmp_path: Path) -> None:
    for file in both.path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = bytearray((tmp_path / INT8_GRAPH).read_bytes())
    data[-1] ^= 1
    (tmp_path / INT8_GRAPH).write_bytes(data)
    with pytest.raises(ModelError, match=f"{INT8_GRAPH} has the sha256"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("gpus", [False, True])
def test_one_machine_decides_for_a_cluster(both: Bundle, processor: Callable[..., None], gpus: bool) -> None:
    processor(dot_products=True)
    settings = Settings.of(both, ScoringOptions(), gpus=gpus)
    decided = settings.options.bundle_for(both)
    assert decided.card.precision == ("fp32" if gpus else "int8")
    # A node that would rather have the other one does as it is told, with the files that it was sent.
    processor(dot_products=gpus)
    with settings.bundle() as arrived:
        assert settings.options.bundle_for(arrived).model_id == decided.model_id


def test_rows_of_two_precisions_are_not_mixed(
    both: Bundle, photos: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    rows, others = tmp_path / "rows.jsonl", tmp_path / "others.jsonl"

    def score(precision: str, into: Path, *more: object) -> Any:
        return cli("score", photos, "--model", both.path, "--precision", precision, "-o", into, "-q", *more)

    assert score("fp32", rows).code == 0
    written = rows.read_bytes()
    refused = score("int8", rows, "--resume")
    assert refused.code == 2
    assert "--precision fp32" in refused.stderr
    assert rows.read_bytes() == written
    assert score("fp32", rows, "--resume").code == 0
    assert rows.read_bytes() == written

    assert score("int8", others).code == 0
    assert {json.loads(line)["model"].partition("@")[0] for line in others.read_text().splitlines()} == {
        "tiny-int8"
    }
    compared = cli("compare", rows, others)
    assert compared.code == 2
    assert "the same --precision" in compared.stderr


@pytest.mark.parametrize("command", ["score", "score-cluster", "serve", "compare", "evaluate", "bench"])
def test_every_command_that_scores_can_be_told(cli: Callable[..., Any], command: str) -> None:
    assert "--precision" in cli(command, "--help").stdout.decode()
