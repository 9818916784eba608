"""The lines to type next, once a model is trained."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..tasks.task import Task

_PIPELINE = "from transformers import pipeline; print(pipeline('text-classification', {folder!r})({text}))"


def lines(folder: str | Path, task: Task, kind: str) -> list[str]:
    """How the model is put to a file, and to one text from Python.

    Args:
        folder (`str` or `Path`): where it is kept.
        task (`Task`): what it was trained for.
        kind (`str`): `"linear"` or `"encoder"`.
    """
    said = ["to use it:", f"  {shlex.join(['llm-created', 'predict', str(folder), 'new.csv'])}"]
    if kind == "encoder" and not task.variable:
        texts = ("'...'", "{'text': '...', 'text_pair': '...'}")[len(task.inputs) > 1]
        code = _PIPELINE.format(folder=str(folder), text=texts)
    else:
        record = ", ".join([f"{name!r}: '...'" for name in task.inputs])
        record += f", {task.options!r}: ['...', '...']" if task.variable else ""
        code = f"import llm_created; print(llm_created.load_model({str(folder)!r}).predict([{{{record}}}]))"
    # Double quotes read better, where nothing in the code means something to a shell.
    quoted = shlex.quote(code) if set(code) & set('"$`\\!') else f'"{code}"'
    return [*said, f"  python -c {quoted}"]
