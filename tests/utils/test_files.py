"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_created.errors import RunFailed
from llm_created.evaluation import results
from llm_created.utils.files import whole, write_json, write_text


def test_what_fails_half_way_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_text(path, "a thesis\r\n\u201cquoted\u201d\n")
    assert path.read_bytes() == b"a thesis\r\n\xe2\x80\x9cquoted\xe2\x80\x9d\n"
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half a page \ud800")
    with pytest.raises(KeyboardInterrupt), whole(path) as part:
        part.write_text("half a page")
        raise KeyboardInterrupt
    assert path.read_bytes().startswith(b"a thesis")
    assert [one.name for one in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("write", [write_text, write_json, lambda path, text: results.write(path, {"text": text})])
def test_a_folder_in_the_way_is_one_line_and_no_litter(tmp_path: Path, write: object) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "inside").write_text("mine")
    with pytest.raises(RunFailed, match=r"^cannot write '.*there': ") as said:
        write(tmp_path / "there", "text")  # type: ignore[operator]
    assert "\n" not in str(said.value)
    assert [one.name for one in tmp_path.iterdir()] == ["there"]
