"""Which package may know which: dgqa_export → dgqa_training → dgqa_infer, and never back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = {
    "dgqa_infer": Path("dgqa_infer"),
    "dgqa_training": Path("training/dgqa_training"),
    "dgqa_export": Path("export/dgqa_export"),
}
MAY_IMPORT = {
    "dgqa_infer": {"dgqa_infer"},
    "dgqa_training": {"dgqa_infer", "dgqa_training"},
    "dgqa_export": {"dgqa_infer", "dgqa_training", "dgqa_export"},
}
# What `import dgqa_infer.<module>` must not need: extras, and what only trains or exports.
NOT_AT_THE_TOP = {
    "onnxruntime",
    "torch",
    "scipy",
    "onnx",
    "pyarrow",
    "openvino",
    "tensorrt",
    "tensorrt_rtx",
    "cuda",
}
NOT_AT_THE_TOP |= {"simplejpeg", "rawpy", "pillow_heif", "fsspec", "ray", "jinja2", "skimage", "matplotlib"}


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Top-level packages that a module imports, and whether it does so as soon as it is imported itself."""

    def walk(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name.partition(".")[0], at_once) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "imports are written in full"
                yield (child.module or "").partition(".")[0], at_once
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                yield from walk(child, False)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, at_once and not inside)

    yield from walk(tree, True)


def modules() -> Iterator[tuple[str, Path]]:
    root = Path(__file__).resolve().parent.parent
    for package, folder in PACKAGES.items():
        for path in sorted((root / folder).rglob("*.py")):
            yield package, path


@pytest.mark.parametrize("package", PACKAGES)
def test_there_is_something_to_check(package: str) -> None:
    assert any(package == each for each, _ in modules())


@pytest.mark.parametrize(
    ("package", "path"), [pytest.param(*each, id=str(each[1].stem)) for each in modules()]
)
def test_no_package_imports_one_that_stands_above_it(package: str, path: Path) -> None:
    for imported, at_once in imports(ast.parse(path.read_bytes())):
        if not imported.startswith("dgqa_"):
            continue
        in_a_command = package == "dgqa_infer" and path.parent.name == "cli" and not at_once
        assert imported in MAY_IMPORT[package] or in_a_command, f"{path} imports {imported}"


def test_what_scores_needs_no_extra_to_be_imported() -> None:
    for package, path in modules():
        if package == "dgqa_infer":
            at_once = {imported for imported, now in imports(ast.parse(path.read_bytes())) if now}
            assert not at_once & NOT_AT_THE_TOP, path
