"""HTML that a user's value made of itself, with everything taken out that could act: an allow-list, rebuilt."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

#: tags that stay, without their attributes but those of ``KEPT``
TAGS = frozenset(
    "table thead tbody tfoot tr th td caption p div span br hr pre code b i em strong small sub sup ul ol li dl dt dd "
    "h1 h2 h3 h4 h5 h6".split()
)
VOID = frozenset({"br", "hr"})
KEPT = frozenset({"colspan", "rowspan"})
#: what is inside goes, too
SILENT = frozenset({"script", "style", "iframe", "object", "embed", "noscript", "template", "svg", "math", "title"})


class _Rebuilt(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.open: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SILENT:
            self.silent += 1
        elif not self.silent and tag in TAGS:
            kept = "".join(f' {k}="{int(v)}"' for k, v in attrs if k in KEPT and v and v.isascii() and v.isdigit())
            self.parts.append(f"<{tag}{kept}>")
            if tag not in VOID:
                self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self.silent = max(self.silent - 1, 0)
        elif not self.silent and tag in self.open:
            while self.open:
                last = self.open.pop()
                self.parts.append(f"</{last}>")
                if last == tag:
                    break

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(escape(data))


def clean_html(text: str) -> str:
    """``text`` with tags of tables and prose only, every attribute but spans gone, and every tag closed."""
    parser = _Rebuilt()
    parser.feed(text)
    parser.close()
    return "".join([*parser.parts, *(f"</{tag}>" for tag in reversed(parser.open))])
