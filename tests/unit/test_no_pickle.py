"""Nothing that a worker says can become code: no module of ours unpickles or evaluates anything."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
MODULES = sorted(SOURCES.rglob("*.py"))
# They turn bytes into objects by running code, or into code itself.
UNSAFE_MODULES = frozenset(
    {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code"}
)
UNSAFE_BUILTINS = frozenset({"eval", "exec", "compile", "__import__"})
UNSAFE_NAMES = frozenset({"unsafe_load", "UnsafeLoader", "FullLoader", "PickleType"})
# Its queues, pipes and managers pickle; only what starts processes is used, and only here.
STARTER = "supervisor/births.py"
STARTERS_MODULES = frozenset({"multiprocessing", "multiprocessing.process"})
HARMLESS = frozenset({"connection", "forkserver", "resource_tracker", "BaseProcess"})
OF_CONTEXT = frozenset({"get_context", "get_all_start_methods", "context", "process"})


def _imported(tree: ast.AST) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield every module that is imported, with the names taken out of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, frozenset[str]()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", frozenset(alias.name for alias in node.names)


def _unsafe(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in UNSAFE_BUILTINS | UNSAFE_NAMES:
            yield node.id
        elif isinstance(node, ast.Attribute) and node.attr in UNSAFE_NAMES:
            yield node.attr
        elif isinstance(node, ast.Constant) and node.value in UNSAFE_MODULES - {"code"}:
            yield str(node.value)  # for importlib


def faults(source: str, name: str) -> list[str]:
    """Return what a module does that could turn words into code."""
    tree = ast.parse(source)
    found = [f"uses {each}" for each in _unsafe(tree)]
    for module, taken in _imported(tree):
        top = module.partition(".")[0]
        if top in UNSAFE_MODULES:
            found.append(f"imports {module}")
        is_starter = name == STARTER and module in STARTERS_MODULES and taken <= HARMLESS
        if top == "multiprocessing" and not is_starter:
            found.append(f"imports {module}: {sorted(taken)}")
    return found + [f"uses multiprocessing.{each}" for each in _of_multiprocessing(tree)]


def _of_multiprocessing(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            is_ours = node.value.id == "multiprocessing" and node.attr not in OF_CONTEXT
            # Waiting for a process is all that is wanted of a connection.
            if is_ours or (node.value.id == "connection" and node.attr in {"Client", "Listener"}):
                yield node.attr


@pytest.mark.parametrize("module", MODULES, ids=lambda each: str(each.relative_to(SOURCES)))
def test_no_module_turns_words_into_code(module: Path) -> None:
    name = str(module.relative_to(SOURCES))

    assert faults(module.read_text(), name) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import multiprocessing.managers",
        "from multiprocessing import Queue",
        "import multiprocessing\nmultiprocessing.Pipe()",
        "from multiprocessing import connection\nconnection.Client('x')",
        "eval('1')",
        "__import__('pick' + 'le')",
        "import importlib\nimportlib.import_module('pickle')",
        "import yaml\nyaml.unsafe_load('x')",
        "import sqlalchemy as sa\nsa.PickleType()",
    ],
)
def test_each_way_to_do_it_would_be_noticed(source: str) -> None:
    assert faults(source, STARTER) != []
