#!/usr/bin/env python3
"""Follows every link inside a built book: files that are not there, and headings that are not there, end with 1.

    docs/check_links.py target/book
"""

import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.links = set(), []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.update(attrs[name] for name in ("id", "name") if attrs.get(name))
        self.links += [attrs[name] for name in ("href", "src") if attrs.get(name)]


def read(path):
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def main(book):
    pages = {path: read(path) for path in sorted(book.rglob("*.html"))}
    followed, broken = 0, []
    for path, page in pages.items():
        # These are made of other pages' text, or are shown from any folder.
        if path.name in ("print.html", "404.html", "toc.html"):
            continue
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path if not parts.path else (path.parent / urllib.parse.unquote(parts.path)).resolve()
            followed += 1
            if not target.exists():
                broken.append(f"{path}: {link}: no such file")
            elif parts.fragment and target in pages and urllib.parse.unquote(parts.fragment) not in pages[target].ids:
                broken.append(f"{path}: {link}: no such heading")
    print("\n".join(sorted(set(broken))) or f"{len(pages)} pages, {followed} links, all lead somewhere")
    return 1 if broken or followed < 100 else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
