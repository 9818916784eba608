"""The page in a real browser, by keys alone; Chromium is the system's, and without one these tests skip."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from test_review import served, start

from llm_created import Identity, Journal, ScriptedClient, Task
from llm_created.creation.loop import create
from llm_created.runs.folders import run_folder
from llm_created.runs.kept import places

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script> \u202eright {{script}}"
WIDTHS = {"phone": (360, 740), "desktop": (1280, 900)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield made
        made.close()


class Person:
    """Somebody with a keyboard, and everything that the page must not do on record."""

    def __init__(self, browser: Any, url: str, width: str = "desktop", scheme: str = "light") -> None:
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.page = self.context.new_page()
        self.noticed: list[str] = []
        self.page.on("console", lambda message: self.noticed.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.noticed.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.noticed.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.goto(url)
        self.hears("Row")

    @property
    def heard(self) -> str:
        """What a screen reader says."""
        return str(self.page.locator("#live").text_content())

    def hears(self, text: str) -> None:
        self.page.locator("#live", has_text=text).wait_for(state="attached", timeout=10_000)

    def presses(self, *keys: str, then: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.hears(then)

    def leaves(self) -> None:
        assert self.page.evaluate("document.documentElement.scrollWidth") <= self.page.viewport_size["width"]
        self.context.close()
        assert self.noticed == []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def demo(task: str, num_rows: int, *more: str) -> str:
    """A run of the demo writer; in a process of its own, for Playwright has a loop in this thread."""
    words = ["create", task, "--model", "demo", "-n", str(num_rows), "--out", "rows", *more]
    subprocess.run([sys.executable, "-m", "llm_created", *words], check=True, capture_output=True)
    return str(json.loads(Path("rows/run.json").read_text())["run"])


def said(digest: str) -> list[tuple[str, str | None]]:
    with Journal(run_folder(digest)) as journal:
        return [(one.verdict, one.label) for one in sorted(journal.said(), key=lambda one: order(journal, one.row))]


def order(journal: Journal, row: str) -> int:
    return [place.row_id for place in places(journal)].index(row)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("width", "scheme"), [("phone", "dark"), ("desktop", "light")])
def test_rows_are_judged_by_keys_alone(browser: Any, width: str, scheme: str) -> None:
    digest = demo("agnews", 8)
    with served(digest) as (server, ask):
        given = ask("row?at=0")[1]
        other = next(label for label in given["options"] if label != given["options"][given["given"]])
        person = Person(browser, server.url, width, scheme)
        assert given["fields"][0][1] in person.heard and "Its label: " in person.heard
        person.presses("r", then="Row 2 of 8")
        person.presses("w", then="Row 3 of 8")
        person.presses("u", then="Row 4 of 8")
        person.presses("b", then="You said: unsure")
        # Another label, chosen by its number, in place of what was said before.
        person.presses("l", then="Which label")
        person.presses(str(given["options"].index(other) + 1), then="Row 4 of 8")
        person.presses("s", then="Row 5 of 8")
        # The first button that Tab comes to from the row is the first thing that can be said of it.
        person.presses("Tab", "Enter", then="Row 6 of 8")
        # No letter answers where words are typed, or where letters are switched off.
        person.page.locator("#chosen summary").focus()
        person.presses("Enter", "Tab", then="Row 6 of 8")
        person.page.keyboard.type("wwuu")
        person.page.locator("#keys").uncheck()
        person.presses("w", then="Row 6 of 8")
        person.page.locator("#keys").check()
        person.page.locator("#filters select[name=looked]").select_option("nobody")
        person.page.locator("#filters input").fill("")
        person.presses("Tab", then="Row 6")
        person.page.locator("#filters button").press("Enter")
        person.hears("of 4")
        for at in range(2, 5):
            person.presses("r", then=f"Row {at} of 4")
        person.presses("r", then="That was the last row")
        person.page.locator("#finish").press("Enter")
        person.hears("Finished")
        person.leaves()
        found = said(digest)
    assert [verdict for verdict, _ in found[:2]] == ["label", "wrong"]
    assert found[2:4] == [("unsure", None), ("label", other)]
    assert len(found) == 9 and all(verdict == "label" for verdict, _ in found[4:])


@pytest.mark.usefixtures("here")
def test_an_audit_is_blind_and_tells_what_it_found(browser: Any) -> None:
    digest = demo("sst2", 30)
    process, url = start("audit", digest, "-n", "3")
    person = Person(browser, url, "phone")
    assert (
        "Its label" not in person.page.locator("body").inner_text() + person.heard
        and person.page.locator("#skip").is_hidden()
    )
    person.presses("1", then="Row 2 of 3")
    person.presses("n", then="Row 3 of 3")
    person.presses("2", then="That was the last row")
    assert "labels are right in" in person.heard
    person.presses("b", then="You said: ")
    person.presses("u", then="1 of them unsure")
    person.page.locator("#finish").click()
    person.hears("Finished")
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and "labels are right in" in out and "drawn by hash" in out, err
    person.leaves()


def test_many_labels_are_found_by_their_beginning_and_hostile_text_is_text(browser: Any) -> None:
    labels = tuple(f"label {at} {HOSTILE}" for at in range(60))
    task = Task(f"hostile {HOSTILE}", ("text",), labels=labels)
    rows = iter(range(99))

    def answer(request: Any) -> str:
        at = next(rows)
        return json.dumps({"text": f"{HOSTILE} number {at} of the rows", "answer": labels[at]})

    identity = Identity(task, {"text": "An example.", "answer": labels[0]}, f"m {HOSTILE}", "Write.", num_examples=1)
    _fill(identity, ScriptedClient(answer), 4)
    with served(identity.digest, blind=True) as (server, ask):
        assert HOSTILE not in ask("")[1]
        person = Person(browser, server.url, "phone", "dark")
        assert "\u202e" not in person.page.locator("body").inner_text() and "\\u202e" in person.heard
        person.page.keyboard.type("label 3")
        person.hears("11 labels; Enter takes label 3 ")
        person.presses("Enter", then="Row 2 of 4")
        person.page.keyboard.type("17")
        person.presses("ArrowDown", "Enter", then="Row 3 of 4")
        person.presses("Escape", "n", then="Row 4 of 4")
        person.leaves()
    known = task.labels or ()
    assert said(identity.digest) == [("label", known[3]), ("label", known[17]), ("wrong", None)]


def _fill(identity: Identity, client: Any, num_rows: int) -> None:
    async def go() -> None:
        with Journal(run_folder(identity.digest), identity.as_json) as journal:
            async for _ in create(identity, client, journal, num_rows, concurrency=1):
                pass

    # Playwright has a loop of its own in this thread.
    thread = Thread(target=lambda: asyncio.run(go()))
    thread.start()
    thread.join()


@pytest.mark.slow
def test_twenty_thousand_rows_and_growth_after_them(browser: Any, here: Path) -> None:
    digest = demo("agnews", 20_000, "--format", "jsonl", "--concurrency", "64")
    before = (here / "rows" / "train.jsonl").read_text().splitlines()
    process, url = start("review", digest)
    person = Person(browser, url)
    for at in range(2, 32):
        person.presses("w" if at % 3 else "r", then=f"Row {at} of 20,000")
    person.page.locator("#chosen summary").press("Enter")
    person.page.locator("#filters input").fill("the")
    person.page.locator("#filters input").press("Enter")
    person.hears("Row 1 of ")
    person.page.locator("#finish").press("Enter")
    person.hears("Finished")
    person.leaves()
    assert process.wait(20) == 0
    wrong = {json.loads(before[at - 2])["id"] for at in range(2, 32) if at % 3}
    rest = [line for line in before if json.loads(line)["id"] not in wrong]
    for number, out in ((20_000 - len(wrong), "short"), (20_200, "long")):
        words = ["create", "agnews", "--model", "demo", "-n", str(number), "--reviewed", "drop", "--out", out]
        command = [sys.executable, "-m", "llm_created", *words, "--format", "jsonl", "--concurrency", "64"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ("to buy" in done.stderr) == (out == "long")
        rows = (here / out / "train.jsonl").read_text().splitlines()
        assert rows[: len(rest)] == rest and len(rows) == number
