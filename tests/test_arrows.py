"""Which package may know which: dgqa_export → dgqa_training → dgqa_infer; and no circles inside them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
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
NOT_AT_THE_TOP |= {"starlette", "uvicorn", "python_multipart", "prometheus_client"}
NOT_AT_THE_TOP |= {"simplejpeg", "rawpy", "pillow_heif", "fsspec", "ray", "jinja2", "skimage", "matplotlib"}


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Modules that a module imports from, and whether it does so as soon as it is imported itself."""

    def walk(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, at_once) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "imports are written in full"
                yield from ((f"{child.module}.{alias.name}", at_once) for alias in child.names)
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
    for module, at_once in imports(ast.parse(path.read_bytes())):
        imported = module.partition(".")[0]
        if not imported.startswith("dgqa_"):
            continue
        in_a_command = package == "dgqa_infer" and path.parent.name == "cli" and not at_once
        assert imported in MAY_IMPORT[package] or in_a_command, f"{path} imports {imported}"


def test_what_scores_needs_no_extra_to_be_imported() -> None:
    for package, path in modules():
        # The service is nothing without its extra; the test below sees that nothing else needs it.
        if package == "dgqa_infer" and path.parent.name != "service":
            found = imports(ast.parse(path.read_bytes()))
            at_once = {imported.partition(".")[0] for imported, now in found if now}
            assert not at_once & NOT_AT_THE_TOP, path


def test_only_its_command_knows_the_service_and_only_once_it_runs() -> None:
    for package, path in modules():
        found = {
            (name, now)
            for name, now in imports(ast.parse(path.read_bytes()))
            if name.startswith("dgqa_infer.service")
        }
        if package == "dgqa_infer" and path.parent.name == "service":
            continue
        assert not found or path.name == "serve.py", f"{path} imports {found}"
        assert not any(now for _, now in found), f"{path} imports {found} at once"


def knows(package: str, depth: int) -> dict[str, set[str]]:
    """Each part of a package and the other parts that it imports from, lazily or not.

    Args:
        package: a key of `PACKAGES`.
        depth: 1 for the package's direct modules and folders (its rooms), 9 for its single modules.
    """
    folder = Path(__file__).resolve().parent.parent / PACKAGES[package]
    names = {}
    for path in folder.rglob("*.py"):
        parts = (package, *path.relative_to(folder).with_suffix("").parts)
        names[path] = parts[:-1] if path.stem == "__init__" else parts
    known = set(names.values())
    graph: dict[str, set[str]] = defaultdict(set)
    for path, name in names.items():
        for imported, _ in imports(ast.parse(path.read_bytes())):
            whole = tuple(imported.split("."))
            # `from package.module import name` names the module and then something in it.
            module = whole if whole in known else whole[:-1]
            here, there = (".".join(each[: depth + 1]) for each in (name, module))
            if module in known and len(module) > 1 and len(name) > 1 and here != there:
                graph[here].add(there)
    return graph


@pytest.mark.parametrize("depth", [1, 9], ids=["rooms", "modules"])
@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_comes_back_to_where_it_began(package: str, depth: int) -> None:
    order = list(TopologicalSorter(knows(package, depth)).static_order())  # CycleError names the circle
    assert len(order) > 5
