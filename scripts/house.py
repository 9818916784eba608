"""How this library is built, measured beside other packages by one rule: folders, functions, branches, types.

    python scripts/house.py                          # this library, and of the packages named below those installed
    python scripts/house.py httpx2 path/to/folder    # beside others: names of installed packages, or folders
    python scripts/house.py --worst 10               # the functions that branch most
    python scripts/house.py --write                  # the table of docs/design.md

Nothing is imported: files are parsed. A module is a `.py` file that is no `__init__.py`; tests and vendored code are
left out. A function counts with its decorators and its docstring, and one inside another for itself. Complexity is 1,
and 1 more for each place where a function can go two ways: `if`, `elif`, loops, `except`, `case`, `and`, `or`,
conditional expressions, and the loops and conditions of comprehensions. Fully typed is a function whose result and
parameters have types, `self` and `cls` aside.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- house: python scripts/house.py --write -->", "<!-- /house -->"
# Those of which most is to be learnt, as far as they are installed.
OTHERS = ("httpx2", "huggingface_hub", "datasets", "accelerate", "setfit", "sentence_transformers")
LEFT_OUT = {"tests", "test", "vendor", "_vendor", "__pycache__"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_ONE_MORE = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)


class Measured(NamedTuple):
    """One function."""

    place: str
    lines: int
    parameters: int
    branches: int
    typed: bool


@dataclass
class House:
    """What was counted in one package: modules by folder, whether each has a docstring, and its functions."""

    name: str
    folders: Counter[Path] = field(default_factory=Counter)
    described: list[bool] = field(default_factory=list)
    functions: list[Measured] = field(default_factory=list)


def measure(folder: Path) -> House:
    """Count one package."""
    house = House(folder.name)
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder)
        if LEFT_OUT.isdisjoint(inside.parts):
            tree = ast.parse(path.read_text("utf-8"))
            house.folders[inside.parent] += path.name != "__init__.py"
            house.described.append(ast.get_docstring(tree) is not None)
            house.functions += (measured(one, f"{inside}:{one.lineno} {one.name}") for one in functions(tree))
    return house


def measured(function: _Function, place: str) -> Measured:
    """Count one function."""
    first = min(one.lineno for one in (function, *function.decorator_list))
    lines = (function.end_lineno or first) - first + 1
    return Measured(place, lines, len(parameters(function)), complexity(function), fully_typed(function))


def functions(tree: ast.AST) -> Iterator[_Function]:
    """Every function of a module, and those inside functions and classes."""
    return (node for node in ast.walk(tree) if isinstance(node, _Function))


def parameters(function: _Function) -> list[ast.arg]:
    """A function's parameters, `self` and `cls` aside."""
    args = function.args
    named = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    return [one for one in named if one is not None and one.arg not in ("self", "cls")]


def fully_typed(function: _Function) -> bool:
    """Whether all that goes in and what comes out has a type."""
    return function.returns is not None and all(one.annotation for one in parameters(function))


def complexity(function: _Function) -> int:
    """In how many ways one can go through a function."""
    return 1 + sum(map(_branches, _inside(function)))


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _Function):
            yield child
            yield from _inside(child)


def _branches(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return int(isinstance(node, _ONE_MORE))


def share(found: Sequence[bool]) -> str:
    """How many of these, in per cent."""
    per_cent = 100 * sum(found) / max(len(found), 1)
    return "0 %" if not per_cent else "100 %" if all(found) else f"{min(per_cent, 99.9):.1f} %"


def rows(house: House) -> dict[str, str]:
    """One column of the table."""
    lines = [one.lines for one in house.functions]
    tenth = quantiles(lines, n=10, method="inclusive")[-1]
    return {
        "modules": f"{sum(house.folders.values()):,}",
        "most modules in one folder": f"{max(house.folders.values())}",
        "function lines, median/p90": f"{median(lines):g}/{tenth:.0f}",
        "functions with more than 6 parameters": share([one.parameters > 6 for one in house.functions]),
        "complexity above 10": share([one.branches > 10 for one in house.functions]),
        "module docstrings": share(house.described),
        "fully typed": share([one.typed for one in house.functions]),
    }


def table(houses: Sequence[House]) -> str:
    """Markdown: a column for each package."""
    columns = [rows(house) for house in houses]
    lines = ["| | " + " | ".join(house.name for house in houses) + " |", "|---|" + "--:|" * len(houses)]
    lines += [f"| {name} | " + " | ".join(column[name] for column in columns) + " |" for name in columns[0]]
    return "\n".join(lines) + "\n"


def worst(house: House, count: int) -> str:
    """The functions that branch most, one on a line."""
    found = sorted(house.functions, key=lambda one: -one.branches)[:count]
    return "".join(f"{one.branches:>4}  {one.place}\n" for one in found)


def find(name: str) -> Path | None:
    """The folder of an installed package, which is not imported; or a folder as given."""
    if Path(name).is_dir():
        return Path(name)
    spec = importlib.util.find_spec(name)
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def write(text: str) -> None:
    """Put the table between its two comments in docs/design.md."""
    before, _, rest = DOC.read_text("utf-8").partition(BEGIN)
    DOC.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}", "utf-8")


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", help="installed packages or folders to stand beside")
    parser.add_argument("--write", action="store_true", help="put the table into docs/design.md")
    parser.add_argument("--worst", type=int, metavar="N", help="print the functions of the library that branch most")
    args = parser.parse_args()
    ours = measure(ROOT / "llm_created")
    if args.worst:
        print(worst(ours, args.worst), end="")
        return
    found = {name: find(name) for name in args.packages or OTHERS}
    missing = [name for name in args.packages if found[name] is None]
    if missing:
        parser.error(f"neither an installed package nor a folder: {', '.join(missing)}")
    text = table([ours, *(measure(path) for path in found.values() if path)])
    if args.write:
        write(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
