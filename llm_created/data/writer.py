"""Rows on disk: Parquet, JSON lines or Arrow, with `task.json` beside them."""

from __future__ import annotations

import importlib
import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..errors import UsageError
from ..runs.folders import RUN_FILE
from ..runs.identity import Identity
from ..tasks.task import Row, Task
from ..utils import swap
from ..utils.files import KEPT, cannot_write, read_text, write_json
from ..utils.version import __version__

FORMATS = {"parquet": "train.parquet", "jsonl": "train.jsonl", "arrow": "train.arrow"}
CARD = "README.md"
# What a run writes into a folder, in an order in which it may be written file by file; all else is its user's.
_OWN = (*FORMATS.values(), "task.json", CARD, RUN_FILE)
_BATCH = 1_000


class Output:
    """Writes the rows of one run into a folder that `datasets.load_dataset` reads.

    All or nothing: what is written stands in a folder beside it until `finish` puts that in its place. What its user
    has put there stays.

    Args:
        folder (`Path`): made if it is not there; it must not hold another run's rows.
        identity (`Identity`): the run.
        file_format (`str`, defaults to `"parquet"`): `"parquet"`, `"jsonl"` or `"arrow"`.

    Raises:
        UsageError: the folder holds something else, or cannot be written.
    """

    def __init__(self, folder: Path, identity: Identity, file_format: str = "parquet") -> None:
        self.folder, self._identity, self._format = folder, identity, file_format
        self._stage = swap.beside(folder, identity.digest[:8])
        self._check()
        self.path = folder / FORMATS[file_format]
        self._part = self._stage / FORMATS[file_format]
        self._rows: list[Row] = []
        self._write: Callable[[list[Row]], None] | None = None
        self._close: Callable[[], None] = lambda: None
        self.written = 0

    def _check(self) -> None:
        try:
            swap.restore(self._stage, self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            there = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
        except OSError as error:
            raise UsageError(f"`out` {str(self.folder)!r} cannot be written: {error.strerror or error}") from None
        if not there:
            return
        try:
            run = str(json.loads((self.folder / RUN_FILE).read_text("utf-8"))["run"])
        except (OSError, ValueError, KeyError, TypeError):
            raise UsageError(
                f"`out` {str(self.folder)!r} holds other files ({', '.join(there[:3])}): give an empty or a new folder"
            ) from None
        if run != self._identity.digest:
            raise UsageError(
                f"`out` {str(self.folder)!r} holds the rows of the run {run[:8]}, this is "
                f"{self._identity.digest[:8]}: give another folder"
            )

    def prepare(self) -> None:
        """Load what writing will need, beside whatever else is waited for."""
        if self._format != "jsonl":
            threading.Thread(target=importlib.import_module, args=("pyarrow.parquet",), daemon=True).start()

    def add(self, row: Row) -> None:
        """Take one row; rows are written a thousand at a time."""
        self._rows.append(row)
        if len(self._rows) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        with self._told():
            if self._write is None:
                self._write, self._close = self._open()
            self._write(self._rows)
        self.written += len(self._rows)
        self._rows = []

    def _open(self) -> tuple[Callable[[list[Row]], None], Callable[[], None]]:
        task = self._identity.task
        swap.clear(self._stage)
        if self._format == "jsonl":
            lines: IO[str] = self._part.open("w", encoding="utf-8", newline="\n")
            return lambda rows: lines.writelines(f"{task.line(row)}\n" for row in rows), lines.close
        import pyarrow as pa

        schema = arrow_schema(task)
        if self._format == "parquet":
            import pyarrow.parquet as pq

            writer: Any = pq.ParquetWriter(self._part, schema)
        else:
            writer = pa.ipc.new_stream(self._part, schema)
        return lambda rows: writer.write_table(arrow_table(task, rows, schema)), writer.close

    def finish(self, card: Callable[[str], str] = lambda old: "", **about: Any) -> Path | None:
        """Write what is left, and put the files in their place; `None` if there was no row.

        Args:
            card (`Callable[[str], str]`, *optional*): gives the card, when it is told the one that is there or `""`.
            **about: what else `run.json` says.
        """
        if self._rows:
            self._flush()
        with self._told():
            self._close()
        if not self.written:
            return None
        example = self._identity.example
        task = self._identity.task.to_json() | {"example": None if example is None else dict(example)}
        if more := self._identity.as_json.get("more_examples"):
            task["more_examples"] = more
        if self._identity.guide.description:
            task["guide"] = self._identity.guide.to_json()
        run = {"run": self._identity.digest, "rows": self.written, "library": f"llm-created {__version__}"} | about
        for name, value in (("task.json", task), (RUN_FILE, run | {"identity": self._identity.as_json})):
            write_json(self._stage / name, value, KEPT)
        if (self.folder / RUN_FILE).exists():
            self._check()  # another run may have written it in the meantime
        with self._told():
            there = self.folder / CARD
            text = card(read_text(CARD, str(there)) if there.exists() else "")
            if text:
                (self._stage / CARD).write_text(text, "utf-8")
            elif there.exists():
                shutil.copy2(there, self._stage / CARD)
            swap.take_place(self._stage, self.folder, _OWN)
        return self.path

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the file system refuses, as one line."""
        try:
            yield
        except OSError as error:
            raise cannot_write(self.folder, error) from None


def arrow_table(task: Task, rows: list[Row], schema: Any) -> Any:
    """Rows as an Arrow table, by way of JSON: from Python objects, Arrow would first import pandas."""
    from pyarrow import json as reader

    lines = "\n".join(json.dumps(task.record(row), ensure_ascii=False) for row in rows).encode()
    table = reader.read_json(
        io.BytesIO(lines),
        # A block must hold the longest row.
        read_options=reader.ReadOptions(block_size=len(lines) + 1, use_threads=False),
        parse_options=reader.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )
    return table.replace_schema_metadata(schema.metadata)


def arrow_schema(task: Task) -> Any:
    """The task's features as an Arrow schema: `datasets` writes the same, and takes half a second to be imported."""
    import pyarrow as pa

    types = {"string": pa.string(), "int32": pa.int32(), "Sequence": pa.list_(pa.string()), "ClassLabel": pa.int64()}
    fields = [(name, types[kind.get("dtype", kind["_type"])]) for name, kind in task.feature_json.items()]
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": task.feature_json}})})
