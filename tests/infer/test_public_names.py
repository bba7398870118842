"""What users import is decided here and not by accident."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dgqa_infer


def test_the_public_names_are_few_sorted_and_there() -> None:
    assert dgqa_infer.__all__ == sorted(dgqa_infer.__all__)
    assert len(dgqa_infer.__all__) <= 12
    for name in dgqa_infer.__all__:
        assert getattr(dgqa_infer, name).__doc__
        assert name in dir(dgqa_infer)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    assert not hasattr(dgqa_infer, "Scorers")


def test_importing_is_light_until_something_is_used() -> None:
    heavy = ["numpy", "PIL", "onnxruntime", "torch", "scipy", "pyarrow", "typer", "rich", "onnx"]
    code = f"import sys, dgqa_infer; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_help_needs_neither_numbers_nor_runtimes() -> None:
    code = """
import sys
from pathlib import Path
from dgqa_infer.cli.app import main
sys.argv = ["dgqa-infer", "score", "--help"]
try:
    main()
except SystemExit as end:
    assert end.code == 0
heavy = ["numpy", "PIL", "onnxruntime", "torch", "scipy", "pyarrow", "onnx", "dgqa_training", "dgqa_export"]
print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr == "[]\n"


def test_a_worker_never_has_a_runtime_in_its_memory() -> None:
    heavy = ["onnxruntime", "torch", "typer"]
    worker = "dgqa_infer.pipeline.worker_main"
    code = f"import sys, {worker}; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_the_runtime_reports_nothing_to_its_maker(tmp_path: Path, tiny_bundle: Path) -> None:
    """From 1.29 on onnxruntime leaves a session file in the temporary folder when its reporting is on."""
    code = f"from dgqa_infer import Scorer; Scorer({str(tiny_bundle)!r}, device='cpu').close()"
    environment = {
        name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")
    }
    environment |= {"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-B", "-c", code], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
