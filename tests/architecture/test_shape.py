"""Functions of one thought, few parameters, one name for one class."""

import ast
from collections import defaultdict

from tests.architecture.test_layers import files, name_of, tree_of

LONGEST_LINES = 60
NINE_OF_TEN_LINES = 18
MOST_PARAMETERS = 7


def functions() -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [
        (f"{name_of(path)}:{node.lineno} {node.name}", node)
        for path in files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_functions_are_short() -> None:
    long = [f"{name}: {lines_of(node)}" for name, node in functions() if lines_of(node) > LONGEST_LINES]
    assert not long, f"longer than {LONGEST_LINES} lines: {long}"
    lengths = sorted(lines_of(node) for _, node in functions())
    assert lengths[len(lengths) * 9 // 10] <= NINE_OF_TEN_LINES


def test_functions_have_few_parameters() -> None:
    wide = []
    for name, node in functions():
        a = node.args
        count = len([p for p in (*a.posonlyargs, *a.args, *a.kwonlyargs) if p.arg not in {"self", "cls", "task_status"}])
        if count > MOST_PARAMETERS:
            wide.append(f"{name}: {count}")
    assert not wide, f"more than {MOST_PARAMETERS} parameters: {wide}"


def test_a_class_name_means_one_thing() -> None:
    where: dict[str, list[str]] = defaultdict(list)
    for path in files():
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(name_of(path))
    twice = {name: places for name, places in where.items() if len(places) > 1}
    assert not twice, f"used for several classes: {twice}"
