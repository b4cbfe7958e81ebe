"""Sphinx extension: the API pages. `{als-floors}` draws the floors, `{als-floor} NAME` lists one of them."""

from __future__ import annotations

import html
import re

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

from als_core.book.reference import PACKAGES, Entry, Module, package_modules, packages_below, read_module

NAMES = r"[\w.*]*\w(?:, [\w.*]*\w)*"
NAMED = r"[^\s:][^:\n]* : "
RULE = re.compile(r"\|[-:| ]+")


class Floors(SphinxDirective):
    """The floors as a drawing: one box each, the ground at the bottom, with what it stands on."""

    def run(self) -> list[nodes.Node]:
        boxes = "".join(_box(number, floor) for number, floor in reversed(list(enumerate(PACKAGES))))
        text = f'<ol class="als-floors" reversed start="{len(PACKAGES) - 1}">{boxes}</ol>'
        return [nodes.raw("", text, format="html")]


class Floor(SphinxDirective):
    """Every module of a floor: what it holds, and its public names with their docstrings."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        for file in package_modules(self.arguments[0]):
            self.env.note_dependency(str(file))
        modules = [read_module(file) for file in package_modules(self.arguments[0])]
        return [self._module(module) for module in modules]

    def _module(self, module: Module) -> nodes.section:
        domain = self.env.get_domain("py")
        section = nodes.section(ids=[module.name], classes=["als-api"])
        section += nodes.title("", module.name.rpartition(".")[2])
        section += nodes.paragraph("", "", nodes.literal("", module.name), classes=["als-module"])
        section += paragraphs(module.docstring)
        domain.note_module(module.name, module.name, "", "", False)
        for entry in module.entries:
            full = f"{module.name}.{entry.name}"
            domain.note_object(full, entry.kind, full, location=section)
            section += _described(full, entry)
        return section


def _described(full: str, entry: Entry) -> nodes.Node:
    head = addnodes.desc_signature("", "", ids=[full], module="", fullname=full)
    if entry.kind == "class":
        head += addnodes.desc_annotation("", "class ")
    head += addnodes.desc_name("", entry.name)
    head += nodes.inline("", entry.signature, classes=["als-signature"])
    body = addnodes.desc_content("", *paragraphs(entry.docstring))
    return addnodes.desc("", head, body, domain="py", objtype=entry.kind, desctype=entry.kind, classes=["py"])


def paragraphs(docstring: str) -> list[nodes.Node]:
    """Turn a docstring into nodes: text, lists, tables and numpydoc sections; other indented text stays literal."""
    blocks = re.split(r"\n\s*\n", docstring.strip("\n"))
    return [node for block in blocks if block.strip() for node in _block(block)]


def _block(text: str) -> list[nodes.Node]:
    lines = text.splitlines()
    if len(lines) > 2 and re.fullmatch("-{3,}", lines[1]):
        rest = "\n".join(lines[2:])
        below = (
            _block(rest) if rest.startswith((" ", ">>>", "|", "- ")) else [_entries(rest) or _sentence(rest)]
        )
        return [nodes.rubric("", lines[0]), *below]
    if text.startswith("|") and len(lines) > 1 and RULE.fullmatch(lines[1]):
        return [_table(lines)]
    if text.startswith("- "):
        items = re.split(r"(?:^|\n)- ", text)[1:]
        return [nodes.bullet_list("", *(nodes.list_item("", _sentence(item)) for item in items), bullet="-")]
    if re.match(NAMED, text):
        return [_entries(text)]
    if any(line.startswith((" ", ">>>", "===")) for line in lines):
        return [nodes.literal_block(text, text, language="python" if ">>>" in text else "text")]
    return [_sentence(text)]


def _entries(text: str) -> nodes.definition_list | None:
    """Make a definition list of `name : text` and of names alone, each with its further lines; None for other text."""
    entries: list[str] = []
    for line in text.splitlines():
        if re.match(f"{NAMED}|{NAMES}$", line):
            entries.append(line)
        elif entries:
            entries[-1] += f"\n{line.strip()}"
        else:
            return None
    several = [part for entry in entries for part in re.split(rf"[.;]\s+(?={NAMES} : )", entry)]
    return nodes.definition_list("", *map(_entry, several))


def _entry(text: str) -> nodes.definition_list_item:
    first, _, more = text.partition("\n")
    name, _, kind = first.partition(" : ")
    ends = not kind or kind.endswith(".") or more[:1].islower() or not more
    term = nodes.term("", "", nodes.literal("", name.strip("`")))
    return nodes.definition_list_item(
        "", term, nodes.definition("", _sentence(f"{kind}{'' if ends else '.'} {more}"))
    )


def _table(lines: list[str]) -> nodes.table:
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    head, *body = [
        nodes.row("", *(nodes.entry("", _sentence(cell)) for cell in row)) for row in (cells[0], *cells[2:])
    ]
    columns = [nodes.colspec(colwidth=1) for _ in cells[0]]
    group = nodes.tgroup("", *columns, nodes.thead("", head), nodes.tbody("", *body), cols=len(columns))
    return nodes.table("", group, classes=["colwidths-auto"])


def _sentence(text: str) -> nodes.paragraph:
    parts = re.split(r"`+([^`]+)`+", " ".join(text.split()))
    inline = [
        nodes.literal("", part) if place % 2 else nodes.Text(part) for place, part in enumerate(parts) if part
    ]
    return nodes.paragraph("", "", *inline)


def _box(number: int, floor: str) -> str:
    modules = len(package_modules(floor))
    below = ", ".join(packages_below(floor))
    stands = f"stands on {below}" if below else "stands on nothing of ours"
    return (
        f'<li value="{number}"><a href="api_{floor}.html"><strong>{html.escape(floor)}</strong></a> '
        f'<span class="als-floor-size">{modules} modules</span><br><span class="als-floor-below">{stands}</span></li>'
    )


def setup(app):
    app.add_directive("als-floors", Floors)
    app.add_directive("als-floor", Floor)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}
