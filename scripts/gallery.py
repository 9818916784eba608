"""The built-in tasks as a page: what a row is, its fields and labels, where its human data lives, one example.

python scripts/gallery.py            # print it
python scripts/gallery.py --write    # put it into docs/tasks.md
"""

from __future__ import annotations

import ast
import json
import sys
from collections import defaultdict
from collections.abc import Iterator

from blocks import put

from llm_created.tasks import builtin
from llm_created.tasks.builtin import Source

PAGE = "docs/tasks.md"
# Labels that are named; of more, the first ones and how many.
SHOWN = 8
FAMILIES = {
    "mcqa_5": "One of five options",
    "mcqa_2": "One of two options",
    "yesno_close": "Yes or no, from knowledge",
    "yesno_open": "Yes or no, from a text",
    "nli_2": "Does it follow?",
    "nli_3": "Does it follow, or contradict?",
    "causes": "Cause and effect",
    "cloze": "Fill the gap",
    "coreference": "Whom does it mean?",
    "word_sense": "The same meaning?",
    "sentiment": "Sentiment",
    "topics_4": "Topics",
    "topics_23": "Topics",
    "topics_26": "Topics",
}


def answers(source: Source) -> str:
    """What a row's answer is one of."""
    task = source.task
    if task.labels:
        more = f" and {len(task.labels) - SHOWN} more" if len(task.labels) > SHOWN else ""
        return ", ".join(f"`{label}`" for label in task.labels[:SHOWN]) + more
    return f"{task.num_options} options of its own" if task.num_options else "any number of options of its own"


def entry(name: str, source: Source) -> Iterator[str]:
    """One task."""
    yield f"### {name}"
    yield ""
    yield source.guide.description if source.guide else about(source)
    yield ""
    fields = " + ".join(f"`{one}`" for one in source.task.inputs)
    yield f"- **reads** {fields}; **answers** `{source.task.answer}`: {answers(source)}"
    if source.human:
        config = f" ({source.human.config})" if source.human.config else ""
        splits = ", ".join(source.human.splits)
        place = f"[{source.human.path}](https://huggingface.co/datasets/{source.human.path}){config}"
        yield f"- **human data** {place}: {splits}"
    yield f"- **from** {about(source)}"
    yield ""
    fields_of = (
        f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in source.example.items()
    )
    yield from ("```json", "{", ",\n".join(fields_of), "}", "```", "")


def about(source: Source) -> str:
    """The first line of the builder file."""
    assert source.file
    return (ast.get_docstring(ast.parse(source.file.read_text("utf-8"))) or "").partition("\n")[0]


def gallery() -> str:
    """All tasks, by family."""
    families: dict[str, list[tuple[str, Source]]] = defaultdict(list)
    for name in builtin.names():
        source = builtin.load(name)
        families[FAMILIES[source.family]].append((name, source))
    lines = []
    for family in dict.fromkeys(FAMILIES.values()):
        lines += [f"## {family}", ""]
        lines += [line for name, source in families[family] for line in entry(name, source)]
    return "\n".join(lines)


def main() -> None:
    """Print the gallery, or put it in its place."""
    if "--write" in sys.argv[1:]:
        put(PAGE, "gallery", gallery())
    else:
        print(gallery())


if __name__ == "__main__":
    main()
