"""From a few photographs to a bundle, by the program that is run on a GPU machine."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sources import empty_sources

from dgqa_export.graphs.head import FeatureReader
from dgqa_export.graphs.pooling import exponent_of, pooled, without_pooling
from dgqa_export.parts.representation import RESULTS, main
from dgqa_infer import Scorer
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_training.networks import checkpoints
from dgqa_training.networks.heads import pretrained_backbone
from dgqa_training.representation.training import CHECKPOINT

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "photos"
SETTINGS = ["--rounds", "2", "--judged", "4", "--batch", "4", "--lr", "1e-3", "--ema", "0.5", "--seed", "3"]
TYPES = "1,10,11"


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    """Two pristine photographs, and parts of others in place of ordinary ones."""
    sources = empty_sources(tmp_path_factory.mktemp("sources"))
    for name in ("chelsea", "coffee"):
        Image.open(EXAMPLES / f"{name}.webp").resize((300, 240)).save(sources["pristine"] / f"{name}.png")
    for name in ("rocket-jpeg2000", "astronaut-jpeg", "coffee-darken"):
        whole = Image.open(EXAMPLES / f"{name}.webp").convert("RGB")
        for place in range(7):
            left, top = 20 * place, 14 * place
            whole.crop((left, top, left + 226, top + 226)).save(
                sources["authentic"] / f"{name}-{place}.jpg", quality=92
            )
    return sources


@pytest.fixture(scope="module")
def made(tmp_path_factory, sources) -> Path:
    """A folder with pack.tar, a run and a bundle, after one step of training."""
    folder = tmp_path_factory.mktemp("made")
    pack, run, out = folder / "pack.tar", folder / "run", folder / "mine"
    given = [f"--{kind}={path}" for kind, path in sources.items()]
    assert main(["pack", str(pack), *given]) == 0
    options = ["--minutes", "0", "--types", TYPES, "--exponent", "0.8", *SETTINGS]
    assert main(["all", str(pack), str(run), str(out), *options]) == 0
    return folder


def test_the_bundle_loads_and_scores_a_photograph(made):
    with Scorer(Bundle.load(made / "mine"), device="cpu") as scorer:
        (result,) = scorer.score_files([EXAMPLES / "rocket.webp"])
    assert 0 <= result.score <= 100
    assert 0 <= result.raw <= 10


def test_the_map_is_exact_its_mean_is_the_quality_of_a_crop(made):
    crops = np.stack([np.asarray(Image.open(path).convert("RGB"))[:224, :224] for path in _photographs()])
    graph = Bundle.load(made / "mine").graph_bytes(QUALITY_GRAPH)
    assert exponent_of(graph) == pytest.approx(0.8)
    with OnnxRuntimeBackend(graph) as backend, OnnxRuntimeBackend(without_pooling(graph)) as plain:
        found, cells = backend.infer(crops), plain.infer(crops)["quality_map"]
    assert found["quality_map"].shape == (len(crops), 7, 7)
    np.testing.assert_allclose(found["quality_map"].mean((1, 2)), found["quality"], atol=1e-5)
    np.testing.assert_allclose(found["quality_map"], pooled(cells, 0.8), atol=1e-4)


def test_the_bundle_has_the_trained_backbone_and_not_imagenets(made):
    graph = without_pooling(Bundle.load(made / "mine").graph_bytes(QUALITY_GRAPH))
    crops = np.asarray(Image.open(EXAMPLES / "rocket.webp").convert("RGB"))[None, :224, :224]
    network = checkpoints.load(made / "run" / CHECKPOINT).network()
    read = FeatureReader(graph)(crops)
    with torch.no_grad():
        trained = network.features(torch.from_numpy(crops.copy())).mean((0, 2, 3)).numpy()
        network.backbone = pretrained_backbone("efficientnet_lite0").eval()
        frozen = network.features(torch.from_numpy(crops.copy())).mean((0, 2, 3)).numpy()
    np.testing.assert_allclose(read, trained, atol=1e-3)
    assert np.abs(read - frozen).max() > 0.01


def test_the_card_tells_the_command_the_settings_and_the_figures(made):
    card = Bundle.load(made / "mine").card
    results = json.loads((made / "run" / RESULTS).read_text("utf-8"))
    assert card.training["command"] == results["command"]
    assert card.training["command"].startswith("python -m dgqa_export.parts.representation all ")
    assert "--lr 1e-3" in card.training["command"]
    assert card.training["representation"]["recipe"]["lr"] == 1e-3
    assert card.training["representation"]["seed"] == 3
    assert card.training["plan"]["types"] == [1, 10, 11]
    assert card.training["pooling"] == {"exponent": 0.8}
    assert card.training["scale"]["photographs"] == 21
    assert [figure["when"] for figure in card.figures] == ["before", "after"]
    assert card.figures[1]["order"] == results["figures"]["after"]["order"]
    assert results["bundle"]["model"] == Bundle.load(made / "mine").model_id
    assert results["speed"]["trained"] > 0


def test_what_is_wrong_ends_in_a_sentence_and_exit_code_2(made, tmp_path, capsys):
    (tmp_path / "no.tar").write_bytes(b"not a tar")
    assert main(["train", str(tmp_path / "no.tar"), str(tmp_path / "run"), "--minutes", "0"]) == 2
    assert "no pack of photographs" in capsys.readouterr().err
    assert main(["pack", str(made / "pack.tar"), f"--pristine={EXAMPLES}"]) == 2
    assert "pack.tar" in capsys.readouterr().err


@pytest.mark.parametrize("authentic", [0, 19])
@pytest.mark.parametrize("step", ["all", "bundle"])
def test_too_few_authentic_photographs_are_said_before_training(tmp_path, sources, capsys, step, authentic):
    folder = tmp_path / "laid out"
    for kind, most in (("pristine", 2), ("authentic", authentic)):
        (folder / kind).mkdir(parents=True)
        for path in sorted(sources[kind].iterdir())[:most]:
            (folder / kind / path.name).write_bytes(path.read_bytes())
    minutes = ["--minutes", "0"] if step == "all" else []
    assert main([step, str(folder), str(tmp_path / "run"), str(tmp_path / "out"), *minutes]) == 2
    assert (
        f"holds {authentic} authentic photographs; the scale of a bundle is made of 20"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()


def _photographs() -> list[Path]:
    return sorted(EXAMPLES.glob("*.webp"))
