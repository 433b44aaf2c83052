# SPDX-License-Identifier: Apache-2.0
"""Is an HTML file well-formed, with plots, and complete in itself?"""

import html.parser
import re
import sys

VOID = {"meta", "br", "line", "rect", "circle", "polyline"}


class Checker(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []
        self.seen = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href"}, f"{tag} refers to another file"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


text = open(sys.argv[1], encoding="utf-8").read()
checker = Checker()
checker.feed(text)
checker.close()
assert not checker.open, f"not closed: {checker.open}"
assert {"svg", "table", "rect"} <= checker.seen, "no plots"
assert not re.search(r"@import|url\(|<script", text), "it loads something"
assert "NaN" not in text
