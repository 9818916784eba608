"""Is labelling yourself better? What README.md says of it, from the tables of docs/results.md.

python scripts/worth.py            # print it
python scripts/worth.py --write    # put it into README.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from blocks import block, put

ROWS, CHECK = 100, "all rows"
PEOPLE = re.compile(rf"\b{ROWS}: ([\d.]+) \(")


class Line(NamedTuple):
    """A task: what so many rows of people score, and so many created ones by each method."""

    task: str
    people: float
    created: dict[str, float]


def lines(results: str) -> Iterator[Line]:
    """The tasks for which both are known."""
    for section in results.split("\n### ")[1:]:
        task, people = section.partition("\n")[0], PEOPLE.search(section)
        table = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"
        ]
        # Where the model learns nothing from people's rows either, its scores say nothing of any rows.
        if people is None or not table or "**More human rows do not help" in section:
            continue
        created = {
            cells[0]: float(cells[table[0].index("CPU s") + 1].split()[0])
            for cells in table[2:]
            if cells[1].split(" of ")[-1] == str(ROWS) and cells[2] == CHECK
        }
        if created:
            yield Line(task, float(people[1]), created)


def told(found: list[Line]) -> str:
    """A table, and in how many of its tasks people's rows are ahead; `ValueError` if there is nothing to tell."""
    if not found:
        raise ValueError(f"docs/results.md has no task with {ROWS} rows of both")
    ahead = sum(line.people > max(line.created.values()) for line in found)
    out = [f"| task | {ROWS} rows that people labelled | {ROWS} rows of the small model, by method |", "|---|--:|---|"]
    for line in found:
        methods = ", ".join(f"{name} {score:.1f}" for name, score in sorted(line.created.items()))
        out.append(f"| {line.task} | {line.people:.1f} | {methods} |")
    what = f"In {ahead} of these {len(found)} tasks" if len(found) > 1 else f"In {'this' if ahead else 'no'} task"
    return "\n".join([*out, "", f"{what} people's rows were ahead of every method's."])


def main() -> None:
    """Print it, or put it in its place."""
    text = told(list(lines(block("docs/results.md", "real_writer"))))
    if "--write" in sys.argv[1:]:
        put("README.md", "worth", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
