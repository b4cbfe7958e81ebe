"""What a page is made of: figures, tables, verdicts and notes, each as MyST text with its files.

A block is data. A live notebook shows its preview, with caption and alternative text; in the executed notebook the
block is one output, from which `execute.render` makes a Markdown cell and the files it refers to.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from als_core.book.prose import MIME, PLACEHOLDER, plain_roles
from als_core.figures.drawn import as_written
from als_core.figures.style import WIDTH, to_png, to_svg
from als_core.refusal import counted

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SHORTEST_ALT = 30  # characters; less cannot say what a figure shows
LONGEST_VERDICTS, LONGEST_TABLE, LONGEST_SUBSTITUTIONS = 12, 20, 8  # rows; a longer table is folded
SVG_WIDTH = re.compile(r'<svg[^>]*? width="([\d.]+)pt"')


@dataclass(frozen=True)
class Block:
    """MyST text, the files it refers to (name to bytes), claim rows it records, and a live preview.

    headline: sentence for the landing page, where this block has it. title: title of the page, where its notebook
    makes several. on_top: shown right below the page's title, wherever it was computed. prose: what the notebook's
    prose depends on (`prose.Data`), where this block says what the page is about.
    """

    myst: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    claims: Sequence[Mapping[str, Any]] = ()
    preview: Mapping[str, Any] = field(default_factory=dict)
    headline: str = ""
    title: str = ""
    on_top: bool = False
    prose: Mapping[str, Any] = field(default_factory=dict)

    def bundle(self) -> dict[str, Any]:
        """The block as a notebook output, by MIME type."""
        files = {name: base64.b64encode(content).decode() for name, content in self.files.items()}
        says = {"headline": self.headline, "title": self.title, "on_top": self.on_top, "prose": self.prose}
        content = {"myst": self.myst, "files": files, "claims": list(self.claims), **says}
        return {**self.preview, MIME: content}


def figure_block(figure: Figure, name: str, caption: str, alt: str, data: pd.DataFrame) -> Block:
    """A numbered figure with caption, alternative text, and SVG, PNG and CSV to download.

    name: lower-case words joined by hyphens, unique in the book; other pages refer to it by this name.
    Raises ValueError for a name, caption or alternative text that would not serve.
    """
    _check_name(name)
    if len(alt) < SHORTEST_ALT or not caption.strip():
        raise ValueError(
            f"{name}: a caption, and at least {SHORTEST_ALT} characters of alternative text, are needed"
        )
    svg = to_svg(figure, name)
    files = {f"{name}.svg": svg.encode(), f"{name}.png": to_png(figure), f"{name}.csv": _csv(data)}
    myst = "\n".join(
        [
            f"```{{figure}} {PLACEHOLDER}/{name}.svg",
            f":name: {name}",
            f":alt: {json.dumps(' '.join(alt.split()), ensure_ascii=False)}",
            f":width: {_share_of_column(svg)}%",
            ":figclass: als-figure",
            "",
            caption.strip(),
            "```",
            _downloads({"SVG": f"{name}.svg", "PNG": f"{name}.png", "data (CSV)": f"{name}.csv"}),
        ]
    )
    picture = base64.b64encode(svg.encode()).decode()
    preview = (
        f'<figure><img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{picture}">'
        f"<figcaption>{inline_html(caption)}</figcaption></figure>"
    )
    return Block(myst, files, preview={"text/html": preview, "text/plain": alt})


def table_block(table: pd.DataFrame, name: str, caption: str) -> Block:
    """A numbered table with caption and CSV to download. The index is not shown; a long table is folded."""
    _check_name(name)
    files = {f"{name}.csv": _csv(table)}
    caption = " ".join(caption.split())  # on one line: the directive reads a second one as content
    # tildes: a fence of backticks could not have a caption with code in it
    shown = "\n".join([f"~~~{{table}} {caption}", f":name: {name}", "", pipe_table(table), "~~~"])
    if len(table) > LONGEST_TABLE:
        first = re.sub(r"\\(.)|[*`]", r"\1", plain_roles(caption).partition(". ")[0].rstrip("."))
        shown = _fold(f"{first} ({len(table)} rows)", shown, "als-fold")
    myst = f"{shown}\n{_downloads({'table (CSV)': f'{name}.csv'})}"
    preview = f"<p>{inline_html(caption)}</p>{table.to_html(index=False)}"
    return Block(myst, files, preview={"text/html": preview, "text/plain": table.to_string()})


def download_block(table: pd.DataFrame, name: str, text: str) -> Block:
    """A sentence and a CSV to download, for a table too long to be shown (predictions of each case)."""
    _check_name(name)
    myst = f"{text.strip()}: {counted(len(table), 'row')}.\n\n{_downloads({'table (CSV)': f'{name}.csv'})}"
    return Block(myst, {f"{name}.csv": _csv(table)}, preview={"text/markdown": f"{text} ({name}.csv)"})


def note_block(title: str, text: str, kind: str = "note", on_top: bool = False) -> Block:
    """An admonition. kind: note, warning, important, ... on_top: right below the answer box."""
    myst = f"```{{admonition}} {title}\n:class: {kind}\n\n{text.strip()}\n```"
    return Block(myst, preview={"text/markdown": plain_roles(f"**{title}.** {text}")}, on_top=on_top)


def text_block(text: str) -> Block:
    """A paragraph of MyST with computed numbers in it."""
    return Block(text, preview={"text/markdown": plain_roles(text)})


def title_block(text: str) -> Block:
    """The page's title, in place of the notebook's: for a notebook that makes several pages."""
    return Block("", preview={"text/markdown": f"# {text}"}, title=text)


def answer_block(question: str, found: str, how_sure: str, not_shown: str) -> Block:
    """The box that opens a page: its question, the answer, how sure one can be, and what was not shown.

    Texts are MyST, one or two sentences each. `found` is also shown on the landing page.
    Raises ValueError for an empty text.
    """
    parts = {"Question": question, "Found": found, "How sure": how_sure, "Not shown": not_shown}
    for name, text in parts.items():
        if not text.strip():
            raise ValueError(f"the answer box lacks its text for {name!r}")
    lines = "\n\n".join(f"**{name}.** {text.strip()}" for name, text in parts.items())
    myst = f"````{{container}} als-answer\n{lines}\n````"
    return Block(myst, preview={"text/markdown": plain_roles(lines)}, headline=found.strip(), on_top=True)


def substitutions_block(rows: Mapping[str, tuple[str, str]], forbids: str) -> Block:
    """What this page used in place of the paper's data, sizes or weights, and which conclusions that rules out.

    rows: name of a setting -> (here, in the paper). forbids: one sentence.
    """
    table = pd.DataFrame(
        [{"Setting": name, "Here": here, "In the paper": paper} for name, (here, paper) in rows.items()]
    )
    shown = pipe_table(table)
    if len(table) > LONGEST_SUBSTITUTIONS:
        shown = _fold(f"{len(table)} settings differ from the paper's", f"\n{shown}\n", "als-fold")
    myst = f"````{{container}} als-substitutions\n{shown}\n\n{forbids.strip()}\n````"
    preview = f"{table.to_html(index=False)}<p>{inline_html(forbids)}</p>"
    return Block(myst, preview={"text/html": preview}, on_top=True)


def html_block(text: str) -> Block:
    """HTML for what MyST cannot express. The caller has escaped everything that came from data."""
    return Block(_raw_html(text), preview={"text/html": text})


VERDICT_SIGNS = {
    "reproduced": "✓",
    "adds up": "Σ",
    "as built": "□",
    "as released": "≡",
    "differs": "≠",
    "stand-in": "◌",
    "cannot hold": "✕",
    "conflicts": "⇄",
    "not a target": "·",
    "not yet run": "…",
}


def verdict_block(rows: Sequence[Mapping[str, Any]]) -> Block:
    """Published, regenerated and verdict of the claims a figure bears on, as a compact table.

    rows: as `als_core.claims.claims.record` makes them. A long table is folded under the count of its verdicts.
    """
    body = "".join(
        f'<tr title="{html.escape(row["id"])}"><th scope="row">{html.escape(row["location"])}</th>'
        f'<td class="als-number">{html.escape(row["published"])}</td>'
        f'<td class="als-number">{html.escape(row["shown"]) or "–"}</td>'
        f"<td>{verdict_html(row['verdict'])} "
        f'<span class="als-reason">{html.escape(_reason(row))}</span></td></tr>'
        for row in rows
    )
    columns = ("In the paper", "Published", "Regenerated", "Verdict")
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    head_and_body = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    name = "Published beside regenerated"
    table = f"<table><caption>{name}</caption>{head_and_body}</table>"
    if len(rows) > LONGEST_VERDICTS:
        counts = Counter(row["verdict"] for row in rows)
        tally = ", ".join(verdict_html(kind, f"{counts[kind]} ") for kind in VERDICT_SIGNS if counts[kind])
        table = (
            f'<details class="als-fold"><summary>{name}: {len(rows)} numbers ({tally})</summary>'
            f'<table aria-label="{name}">{head_and_body}</table></details>'
        )
    table = f'<div class="als-verdicts">{table}</div>'
    return Block(_raw_html(table), claims=rows, preview={"text/html": table})


def verdict_html(kind: str, before: str = "", link: str = "") -> str:
    """A verdict with its sign, as HTML. before: text ahead of the sign. link: address of the page that judges it."""
    sign = f'<span aria-hidden="true">{VERDICT_SIGNS[kind]}</span>'
    words = f"{before}{sign} {kind}"
    if link:
        words = f'<a href="{html.escape(link)}">{words}</a>'
    return f'<span class="als-verdict als-verdict-{kind.replace(" ", "-")}">{words}</span>'


def _reason(row: Mapping[str, Any]) -> str:
    """The reason, unless it only repeats the columns beside it."""
    says_no_more = row["reason"] == f"{row['shown']} against the printed {row['published']}"
    return "" if says_no_more else row["reason"]


def details_block(title: str, rows: Mapping[str, str]) -> Block:
    """A closed box of names and values that opens on a click."""
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
        for name, value in rows.items()
    )
    box = (
        f'<details class="als-details"><summary>{html.escape(title)}</summary>'
        f"<table><tbody>{body}</tbody></table></details>"
    )
    return Block(_raw_html(box), preview={"text/html": box})


def code_details_block(title: str, text: str, code: str, language: str) -> Block:
    """A closed box with a sentence of MyST and code to copy, which opens on a click."""
    inner = f"{text}\n\n```{language}\n{code.strip()}\n```"
    preview = f"<p>{inline_html(text)}</p><pre>{html.escape(code.strip())}</pre>"
    box = f"<details><summary>{html.escape(title)}</summary>{preview}</details>"
    return Block(_fold(title, inner, "als-details"), preview={"text/html": box})


def inline_html(text: str) -> str:
    """A line of MyST as HTML for a preview: emphasis and code are kept, roles are plain words, the rest is escaped."""
    return MarkdownIt("commonmark", {"html": False}).renderInline(plain_roles(text.strip()))


def pipe_table(table: pd.DataFrame) -> str:
    """A Markdown table; numbers to the right, small ones of a column to one number of decimals, cells escaped."""
    sides = ["--:" if pd.api.types.is_numeric_dtype(table[column]) else ":--" for column in table]
    cells = [_column_cells(table.iloc[:, place]) for place in range(table.shape[1])]
    lines = [[cell_text(column) for column in table], sides, *map(list, zip(*cells, strict=True))]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _column_cells(column: pd.Series) -> list[str]:
    cells = [cell_text(value) for value in column]
    if not pd.api.types.is_float_dtype(column) or not column.abs().max() < 10 or "e" in "".join(cells):
        return cells
    decimals = max(len(cell.partition(".")[2]) for cell in cells)
    return ["" if pd.isna(value) else f"{value:.{decimals}f}" for value in column]


def cell_text(value: Any) -> str:
    """A value as the text of a table's cell."""
    if isinstance(value, float):
        value = "" if pd.isna(value) else f"{value:.4g}"
    return as_written(value)


def _share_of_column(svg: str) -> int:
    """Percent of the text column that shows a figure at its own size, so that 8 points are 8 points."""
    return min(100, round(100 * float(SVG_WIDTH.search(svg)[1]) / (72 * WIDTH)))


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r}: a name is lower-case words joined by hyphens")


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n", float_format="%.10g").encode()


def _downloads(files: Mapping[str, str]) -> str:
    links = " · ".join(f"{{download}}`{label} <{PLACEHOLDER}/{name}>`" for label, name in files.items())
    return f"```{{container}} als-downloads\n{links}\n```"


def _fold(title: str, myst: str, kind: str) -> str:
    """MyST in a closed box that opens on a click. kind: CSS class."""
    opening = f'<details class="{kind}"><summary>{html.escape(title)}</summary>'
    return f"{_raw_html(opening)}\n{myst}\n{_raw_html('</details>')}"


def _raw_html(text: str) -> str:
    return f"```{{raw}} html\n{text}\n```"
