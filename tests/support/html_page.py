"""An HTML page as a test sees it: its tags, and what it refers to."""

from __future__ import annotations

from html.parser import HTMLParser

__all__ = ["HtmlPage"]

_REFERENCES = ("src", "href", "xlink:href", "data")


class HtmlPage(HTMLParser):
    """Parses *text*.

    Attributes:
        tags: the tags that begin, in order.
        targets: links, and the addresses of pictures, scripts and style sheets.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value or "" for name, value in attrs if name in _REFERENCES]
