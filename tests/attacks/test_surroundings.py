from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dgqa_infer import Scorer
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.results import Failure, Score

# What a decoder that has been taken over might say to its parent instead of the truth. Imported in the place
# of ours, because it lies first on the path that is handed down.
LIAR = """
import importlib.util

spec = importlib.util.spec_from_file_location("dgqa_infer.true_worker", {worker!r})
true = importlib.util.module_from_spec(spec)
spec.loader.exec_module(true)
say = true._Parent.say

def lie(parent, answer):
    if not hasattr(answer, "width") or answer.size != {size}:
        return say(parent, answer)
    parent._connection.send_bytes({lie!r})

true._Parent.say = lie
main = true.main
"""


@pytest.fixture
def files(tmp_path: Path, make_photo: Any) -> list[str]:
    paths = [make_photo(tmp_path / "photos" / f"{number}.png", seed=number) for number in range(3)]
    with paths[1].open("ab") as file:
        # The one whose decoder lies is known by its size.
        file.write(bytes(23_456 - paths[1].stat().st_size))
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    "lie",
    [b"not JSON", b'{"kind": "Ask", "pixels": "much"}', b'"' + b"x" * 2_000_000 + b'"'],
    ids=["words", "ask", "long"],
)
def test_a_decoder_that_lies_costs_its_own_file(
    tiny_bundle: Path, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: bytes
) -> None:
    import dgqa_infer

    package = tmp_path / "path" / "dgqa_infer"
    true = Path(dgqa_infer.__file__).parent
    for name in ("", "pipeline"):
        (package / name).mkdir(parents=True)
        folders = [str(package / name), str(true / name)]
        (package / name / "__init__.py").write_text(f"__path__ = {folders!r}")
    worker = true / "pipeline" / "worker_main.py"
    liar = LIAR.format(worker=str(worker), size=23_456, lie=lie)
    (package / "pipeline" / "worker_main.py").write_text(liar)
    monkeypatch.syspath_prepend(package.parent)
    with Scorer(tiny_bundle, device="cpu", batch_size=1) as scorer, Pipeline(scorer, workers=1) as pipeline:
        before, lied, after = [outcome.result for outcome in pipeline.run(files)]
    assert isinstance(before, Score)
    assert isinstance(after, Score)
    assert isinstance(lied, Failure)
    assert lied.path == files[1]
    assert isinstance(lied.message, str)


def test_libheif_s_switch_for_no_limits_does_not_reach_the_workers(
    tiny_bundle: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBHEIF_SECURITY_LIMITS", "OFF")
    with Scorer(tiny_bundle, device="cpu") as scorer, Pipeline(scorer, workers=1) as pipeline:
        next(pipeline.run(files))
        (worker,) = pipeline.processes
        environment = Path(f"/proc/{worker}/environ")
        if not environment.exists():
            pytest.skip("needs Linux's /proc")
        assert b"LIBHEIF_SECURITY_LIMITS" not in environment.read_bytes()
