"""What a page is made of: figures, tables, verdicts and notes, each as MyST text with its files.

A block is data. In a live notebook it shows a preview; in the executed notebook it travels as one
output, from which `render` makes a Markdown cell and the files it refers to.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from als_core.figures.style import to_png, to_svg

MIME = "application/vnd.als.block+json"
FILES = "%FILES%"  # stands for the page's folder of files until the page is rendered
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SHORTEST_ALT = 30  # characters; less cannot say what a figure shows


@dataclass(frozen=True)
class Block:
    """MyST text, the files it refers to (name to bytes), claim rows it records, and a live preview.

    headline: what the landing page says of the page, where this block is it.
    """

    myst: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    claims: Sequence[Mapping[str, Any]] = ()
    preview: Mapping[str, Any] = field(default_factory=dict)
    headline: str = ""

    def bundle(self) -> dict[str, Any]:
        """The block as a notebook output, by MIME type."""
        files = {name: base64.b64encode(content).decode() for name, content in self.files.items()}
        content = {"myst": self.myst, "files": files, "claims": list(self.claims), "headline": self.headline}
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
            f"```{{figure}} {FILES}/{name}.svg",
            f":name: {name}",
            f":alt: {json.dumps(' '.join(alt.split()), ensure_ascii=False)}",
            ":width: 100%",
            ":figclass: als-figure",
            "",
            caption.strip(),
            "```",
            _downloads({"SVG": f"{name}.svg", "PNG": f"{name}.png", "data (CSV)": f"{name}.csv"}),
        ]
    )
    return Block(myst, files, preview={"image/svg+xml": svg, "text/plain": alt})


def table_block(table: pd.DataFrame, name: str, caption: str) -> Block:
    """A numbered table with caption and CSV to download. The index is not shown."""
    _check_name(name)
    files = {f"{name}.csv": _csv(table)}
    myst = "\n".join(
        [
            f"```{{table}} {caption.strip()}",
            f":name: {name}",
            "",
            pipe_table(table),
            "```",
            _downloads({"table (CSV)": f"{name}.csv"}),
        ]
    )
    return Block(
        myst, files, preview={"text/html": table.to_html(index=False), "text/plain": table.to_string()}
    )


def note_block(title: str, text: str, kind: str = "note") -> Block:
    """An admonition. kind: note, warning, important, ..."""
    myst = f"```{{admonition}} {title}\n:class: {kind}\n\n{text.strip()}\n```"
    return Block(myst, preview={"text/markdown": f"**{title}.** {text}"})


def text_block(text: str) -> Block:
    """A paragraph of MyST with numbers in it that were computed."""
    return Block(text, preview={"text/markdown": text})


def headline_block(text: str) -> Block:
    """The one thing to know, in a sentence or two of plain text: on top of its page, and on the landing page."""
    myst = f"```{{container}} als-headline\n{text.strip()}\n```"
    return Block(myst, preview={"text/markdown": f"**{text}**"}, headline=text.strip())


def html_block(text: str, files: Mapping[str, bytes] | None = None) -> Block:
    """HTML of our own making, for what MyST cannot say. The caller has escaped what came from data."""
    return Block(_raw_html(text), files or {}, preview={"text/html": text})


VERDICT_SIGNS = {
    "reproduced": "✓",
    "differs": "≠",
    "stand-in": "◌",
    "cannot hold": "✕",
    "conflicts": "⇄",
    "not a target": "·",
    "not yet run": "…",
}


def verdict_block(rows: Sequence[Mapping[str, Any]], heading: str = "Published beside regenerated") -> Block:
    """Published, regenerated and verdict of the claims a figure bears on, as a compact table.

    rows: as `als_core.evidence.claims.record` makes them.
    """
    body = "".join(
        f'<tr title="{html.escape(row["id"])}"><th scope="row">{html.escape(row["location"])}</th>'
        f'<td class="als-number">{html.escape(row["published"])}</td>'
        f'<td class="als-number">{html.escape(row["shown"]) or "–"}</td>'
        f'<td><span class="als-verdict als-verdict-{row["verdict"].replace(" ", "-")}">'
        f'<span aria-hidden="true">{VERDICT_SIGNS[row["verdict"]]}</span> {row["verdict"]}</span>'
        f'<span class="als-reason">{html.escape(row["reason"])}</span></td></tr>'
        for row in rows
    )
    columns = ("In the paper", "Published", "Regenerated", "Verdict")
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    table = (
        f'<div class="als-verdicts"><table><caption>{html.escape(heading)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    return Block(_raw_html(table), claims=rows, preview={"text/html": table})


def details_block(title: str, rows: Mapping[str, str]) -> Block:
    """A closed box of names and values that opens on a click."""
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
        for name, value in rows.items()
    )
    box = f'<details class="als-details"><summary>{html.escape(title)}</summary><table><tbody>{body}</tbody></table></details>'
    return Block(_raw_html(box), preview={"text/html": box})


def pipe_table(table: pd.DataFrame) -> str:
    """A Markdown table; numbers to the right, cells escaped."""
    sides = ["--:" if pd.api.types.is_numeric_dtype(table[column]) else ":--" for column in table]
    lines = [[cell_text(column) for column in table], sides]
    lines += [[cell_text(cell) for cell in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell_text(value: Any) -> str:
    """A value as text that Markdown leaves alone."""
    if isinstance(value, float):
        value = "" if pd.isna(value) else f"{value:.4g}"
    return re.sub(r"([\\`*_{}\[\]<>|#~$])", r"\\\1", " ".join(str(value).split()))


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r}: a name is lower-case words joined by hyphens")


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n", float_format="%.10g").encode()


def _downloads(files: Mapping[str, str]) -> str:
    links = " · ".join(f"{{download}}`{label} <{FILES}/{name}>`" for label, name in files.items())
    return f"```{{container}} als-downloads\n{links}\n```"


def _raw_html(text: str) -> str:
    return f"```{{raw}} html\n{text}\n```"
