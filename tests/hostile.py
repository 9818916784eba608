"""What a model may write to get out of a page, and a page as a reader of Markdown shows it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "</pre></code><script>alert(3)</script>",
    "```\n# not a heading\n| a | b |\n|---|---|\n| c | d |",
    "---\nlicense: mit\n---",
    "<!-- llm-created: limits --> <!-- end of tree --> [a](javascript:alert(4)) ![b](http://x/y.png) www.example.org",
    "{{ 7 * 7 }} {% raw %} $x$ a@b.c https://example.org \\ ` ** __init__ ~~no~~ &lt;b&gt; \u202etxt.exe",
)


class Page(HTMLParser):
    """The tags of a page, its text, and what stands in its `pre` elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.pre: list[str] = []
        self._in_pre = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attributes))
        if tag == "pre":
            self._in_pre = True
            self.pre.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_pre = self._in_pre and tag != "pre"

    def handle_data(self, data: str) -> None:
        if self._in_pre:
            self.pre[-1] += data


def rendered(text: str) -> Page:
    """A card's text as a reader of CommonMark with tables and raw HTML shows it: nothing is filtered."""
    reader = pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True}).enable("table")
    return Page(reader.render(text))
