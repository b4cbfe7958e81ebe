"""The landing page and the overview of each paper, in words first, from the claims and findings of the book.

Nothing on these pages is typed that a page computes: counts come from the claims, findings from the answer box of the
page that `data/papers.yml` names, printed results from the transcriptions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from als_core.book.blocks import VERDICT_SIGNS, cell_text
from als_core.book.contents import book_pages
from als_core.book.finder import page_link, page_words
from als_core.book.freshness import stamp_of
from als_core.book.site import papers
from als_core.claims.claims import anchor_of
from als_core.claims.published import claim_named, claims
from als_core.claims.verdicts import NO_TARGET
from als_core.figures.drawn import listed
from als_core.refusal import counted
from als_core.storage import repository, write_text_if_changed

Rows = Sequence[Mapping[str, Any]]

HOLDS = ("reproduced", "adds up", "as built", "as released")
CONFLICTS = ("conflicts", "cannot hold", "differs")
WORDS = {
    "reproduced": "by measurement, no further off than chance on so few test images allows (rules fixed beforehand)",
    "adds up": "by arithmetic on the paper's own numbers",
    "as built": "by counting sizes and costs of rebuilt networks",
    "as released": "by counting the released data",
}
"""How the landing page explains the kinds of agreement."""

NOTES = (
    (
        ("conflicts", "cannot hold"),
        "*Conflicts* and *cannot hold*: the printed number disagrees with other numbers or statements of the paper; a "
        "number under “In this book” is computed from printed ones, or measured on the paper's own images.",
    ),
    (("adds up",), "*Adds up* is arithmetic on printed numbers: nothing was trained for it."),
    (
        ("stand-in",),
        "*Stand-in*: computed with other data, starting weights or sizes than the paper's; do not compare it with the "
        "printed number.",
    ),
)
"""What an overview says below its table of printed numbers, by the verdicts in it."""

DRAWN = (
    "**What this build measures for this paper, it measures on synthetic data, drawn by a program.** Only sizes and costs "
    "of networks and arithmetic on printed numbers say anything about the paper; nothing here says anything about patients."
)
"""What an overview says of a build that has no data of the paper."""

PUBLIC_IMAGES = "xia2024/07_by_donor"
"""The page whose finding says what the public images show."""

AUDIT = "audit/published_numbers"
MOST_NAMED = 3  # measurements that the landing page names one by one
LEGEND = "What the marks mean is in {doc}`/book/how_to_read_a_verdict`."

VIEW_BOX = re.compile(r'viewBox="([\d.-]+) ([\d.-]+) ([\d.]+) ([\d.]+)"')
PIXELS = re.compile(
    r'<image [^>]*? transform="scale\(1 -1\) translate\(0 -([\d.]+)\)" '
    r'x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" height="([\d.]+)"/>'
)

SIZE = re.compile(r' (?:width|height)="[\d.]+(?:pt|px)?"')


def finding_of(page: str) -> str:
    """What a page found, as its answer box says it; empty where the page was not made or has no box."""
    file = repository() / "book" / f"{page}.ipynb"
    return stamp_of(file).get("headline", "") if file.is_file() else ""


def tally(rows: Rows) -> dict[str, int]:
    """Verdicts that occur and how often, in the order of the book's signs, unknown ones last; inputs left out."""
    kinds = [row["verdict"] for row in rows if row["verdict"] != NO_TARGET]
    order = [*VERDICT_SIGNS, *sorted(set(kinds) - VERDICT_SIGNS.keys())]
    return {kind: kinds.count(kind) for kind in order if kind in kinds}


def number_of(rows: Rows, kinds: Sequence[str]) -> int:
    """How many rows have one of these verdicts."""
    return sum(row["verdict"] in kinds for row in rows)


def findings_behind(rows: Rows, kinds: Sequence[str]) -> int:
    """How many findings of the audit stand behind the rows of these verdicts; a row without one counts by itself."""
    named: set[str] = set()
    alone = 0
    for row in rows:
        if row["verdict"] in kinds:
            found = claims()[row["id"]].findings if row["id"] in claims() else ()
            named |= set(found)
            alone += not found
    return len(named) + alone


def agreeing(n: int, one: str, several: str) -> str:
    """A verb in the number of its subject.

    >>> agreeing(1, "is", "are"), agreeing(0, "is", "are")
    ('is', 'are')
    """
    return one if n == 1 else several


def in_words(n: int) -> str:
    """A small number as a word, a larger one in digits.

    >>> in_words(5), in_words(25)
    ('five', '25')
    """
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[n] if n < len(words) else str(n)


# --- the landing page


def what_holds(rows: Rows) -> str:
    """How many printed numbers agree with what the book computed, and of what kind these are."""
    targets = [row for row in rows if row["verdict"] != NO_TARGET]
    holding = number_of(targets, HOLDS)
    if not holding:
        return f"None of the {counted(len(targets), 'printed number')} has been confirmed by this book yet."
    kinds = [f"{count} {WORDS[kind]}" for kind, count in tally(targets).items() if kind in HOLDS]
    text = f"{holding:,} of {len(targets):,} printed numbers agree with what this book computed: {listed(kinds)}."
    measured = [row for row in targets if row["verdict"] == "reproduced"]
    if not measured:
        return f"{text} No trained result is among them."
    named = [
        f"{claim_named(row['id']).location}: {row['shown']} here, {row['published']} printed"
        for row in measured[:MOST_NAMED]
    ]
    more = [f"{len(measured) - MOST_NAMED} more"] if len(measured) > MOST_NAMED else []
    return f"{text} Measured: {'; '.join([*named, *more])}."


def what_conflicts(rows: Rows) -> str:
    """How many printed numbers disagree with others, in how many findings, and how many cannot hold."""
    conflicting = number_of(rows, CONFLICTS)
    if not conflicting:
        return "No printed number was found to disagree with another."
    kinds = {
        "conflicts": "conflict with another printed statement",
        "cannot hold": "cannot hold under any reading of the text",
        "differs": "came out otherwise when counted or measured again",
    }
    parts = [f"{count} {words}" for kind, words in kinds.items() if (count := number_of(rows, [kind]))]
    issues = counted(findings_behind(rows, CONFLICTS), "issue")
    audit = f"{{doc}}`The audit </book/{AUDIT}>` gives" if AUDIT in book_pages() else "The audit gives"
    return (
        f"{counted(conflicting, 'printed number')} ({issues}): {listed(parts)}. {audit} each reason, and a harmless "
        "reading where there is one."
    )


def what_was_not_tested(rows: Rows, public: bool = True) -> str:
    """How many results of training are judged at all, and why the others are not.

    public: whether the build has the public images of brain tissue.
    """
    trained = [
        row for row in rows if row["id"] in claims() and claims()[row["id"]].needs == "training"
        and row["verdict"] != NO_TARGET
    ]  # fmt: skip
    judged = number_of(trained, ["reproduced", "differs"])
    settled = number_of(trained, ["conflicts", "cannot hold"])
    stand_in, not_run = number_of(trained, ["stand-in"]), number_of(trained, ["not yet run"])
    text = (
        f"Of {len(trained)} printed results that need a trained network, {judged or 'none'} "
        f"{agreeing(max(judged, 1), 'is', 'are')} judged by training "
        f"here and {settled or 'none'} by arithmetic alone. "
    )
    if stand_in:
        text += (
            f"For {stand_in} this book has only other data, weights or sizes to offer: "
            f"{'' if public else 'this build uses other images than the public ones of brain tissue, '}the images of the other "
            "papers are not public, pretrained weights could not be had, or training at the published size was too long. "
        )
    if not_run:
        text += f"The remaining {not_run} {agreeing(not_run, 'was', 'were')} not computed in this build."
    return text.strip()


def what_the_images_show(finding: str, public: bool) -> str:
    """What the one public set of images shows, as its page found it; or what a book of other images shows in its place."""
    if not finding:
        return "The page about the public images of brain tissue was not made in this build."
    if public:
        return finding
    return f"This build uses other images than the public ones of brain tissue. On these: {finding}"


def plain_words(rows: Rows, synthetic: bool) -> str:
    """Three sentences for readers without a technical background."""
    trained = [row for row in rows if row["id"] in claims() and claims()[row["id"]].needs == "training"]
    judged = number_of(trained, ["reproduced", "differs"])
    total = len(trained) - number_of(trained, [NO_TARGET])
    first = (
        f"{in_words(len(papers())).capitalize()} papers report that a computer can recognise ALS or Alzheimer's disease in "
        f"images; of their {total} results that depend on a computer trained on images, this book could so far repeat and "
        f"judge {judged or 'none'}."
    )
    second = (
        "Images of one person resemble each other, so a computer can score well by recognising the person, or how the images were made, instead of the "
        f"disease{_how_papers_split()}."
    )
    third = "Nothing here is a diagnosis, and nothing here shows that these diseases cannot be recognised: few images are public."
    if synthetic:
        third = f"{third.rstrip('.')}, and many pages use brains and cells drawn by a program."
    return "\n".join(f"{number}. {text}" for number, text in enumerate((first, second, third), 1))


def _how_papers_split() -> str:
    """Which papers allow that a person is recognised, from `split` of `data/papers.yml`; empty where none is known to."""
    said = {
        "images": (
            "describes a split by class and does not mention persons",
            "describe a split by class and do not mention persons",
        ),
        "not stated": ("does not say what it separates", "do not say what they separate"),
    }
    parts = []
    for split, words in said.items():
        titles = [about["title"] for about in papers().values() if about.get("split") == split]
        if titles:
            parts.append(f"{listed(titles)} {agreeing(len(titles), *words)}")
    return f"; {', and '.join(parts)}" if parts else ""


def landing_text(rows: Rows, line: str, public: bool = True) -> str:
    """The landing page as MyST: the answer in words, a row for each paper, and three plain sentences.

    line: the cohort, as the build states it. public: whether it is the authors' public images.
    """
    box = [
        ("What holds", what_holds(rows)),
        ("What conflicts", what_conflicts(rows)),
        ("Not tested", what_was_not_tested(rows, public)),
        ("The images", what_the_images_show(finding_of(PUBLIC_IMAGES), public)),
    ]
    answer = "\n\n".join(f"**{name}.** {text}" for name, text in box)
    cards = "\n\n".join(_card(paper, about, rows) for paper, about in papers().items())
    synthetic = any("synthetic" in row["cohort"] for row in rows)
    return (
        f"````{{container}} als-answer als-front\n{answer}\n````\n\n"
        f"## The {in_words(len(papers()))} papers\n\n{LEGEND}\n\n{cards}\n\n"
        f"## Without technical words\n\n{plain_words(rows, synthetic)}\n\n"
        f"*This build: {line}*\n"
    )


def _card(paper: str, about: Mapping[str, Any], rows: Rows) -> str:
    of_paper = [row for row in rows if row["paper"] == paper]
    title = f"{about['title']}: {about['about']}"
    first = overview_page(paper) or next(
        (f"/book/{p}" for p in book_pages() if p.startswith(f"{paper}/")), ""
    )
    heading = f"{{doc}}`{title} <{first}>`" if first else title
    found = finding_of(about["headline"])
    verdicts = " ".join(
        f'<span class="als-verdict als-verdict-{kind.replace(" ", "-")}">{count} '
        f'<span aria-hidden="true">{VERDICT_SIGNS.get(kind, "")}</span> {kind}</span>'
        for kind, count in tally(of_paper).items()
    )
    picture = _picture(paper, about.get("panels") or [about["picture"]])
    lines = [
        "`````{container} als-paper",
        picture,
        "````{container} als-paper-text",
        f"**{heading}**",
        f"*It reports:* {about['says']}",
        f"*Found here:* {found}" if found else "*Found here:* the page was not made in this build.",
        f'<p class="als-tally">{verdicts}</p>' if verdicts else "",
        "````",
        "`````",
    ]
    return "\n\n".join(line for line in lines if line)


def overview_page(paper: str) -> str:
    """The overview of a paper, as a link of the book; empty where there is none."""
    file = repository() / "book" / f"overview_{paper}.md"
    return f"/book/overview_{paper}" if file.is_file() else ""


def _picture(paper: str, pictures: Sequence[Any]) -> str:
    """A panel of the first figure that was made, as an image of its own, linked to its page; nothing where none was."""
    for page, name, *part in pictures:
        source = repository() / "book" / page / f"{name}.svg"
        if source.is_file():
            target = repository() / "book" / "generated" / f"{paper}-panel.svg"
            write_text_if_changed(target, cut_out(source.read_text(encoding="utf-8"), *part))
            part_of = "A part of this figure: " if part else ""
            alt = json.dumps(
                f"{part_of}{_first_sentence(page, name)} The page is {page_words(page)}.", ensure_ascii=False
            )
            return f"```{{image}} /book/generated/{target.name}\n:alt: {alt}\n:target: {page}.html\n:class: als-panel\n```"
    return ""


def _first_sentence(page: str, name: str) -> str:
    """The first sentence of a figure's caption on a page that was made."""
    cells = json.loads((repository() / "book" / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    caption = re.search(rf"^:name: {name}\n(?::.*\n)*\n(.+)", text, re.MULTILINE)
    return re.split(r"(?<=[^.][^.g]\.)\s", re.sub(r"[*`\\]", "", caption[1]))[0] if caption else ""


def cut_out(svg: str, part: Sequence[float] = (0, 0, 1, 1)) -> str:
    """An SVG image that shows a part of another: left, top, right and bottom as shares of its width and height.

    Pictures (pixels) that lie wholly outside that part are left out; they are most of what a brain figure weighs.
    """
    x, y, width, height = (float(number) for number in VIEW_BOX.search(svg).groups())
    left, top, right, bottom = part
    box = (x + left * width, y + top * height, (right - left) * width, (bottom - top) * height)
    start = svg.index("<svg")
    end = svg.index(">", start)

    def seen(picture: re.Match[str]) -> str:
        shift, x, y, wide, high = map(float, picture.groups())
        top = shift - y - high  # matplotlib draws pictures upside down
        across = x < box[0] + box[2] and box[0] < x + wide
        return picture[0] if across and top < box[1] + box[3] and box[1] < top + high else ""

    shown = VIEW_BOX.sub(f'viewBox="{box[0]:g} {box[1]:g} {box[2]:g} {box[3]:g}"', svg[start:end])
    return f'{svg[:start]}{SIZE.sub("", shown)} width="{box[2]:g}pt" height="{box[3]:g}pt"{PIXELS.sub(seen, svg[end:])}'


# --- the pages of one notebook, and the overview of a paper


def training_text(paper: str) -> str:
    """The pages that one notebook makes for several networks of a paper, each with what it found, as MyST."""
    pages = [page for page in book_pages() if page.startswith(f"{paper}/") and _is_one_of_many(page)]
    if not pages:
        return "None of these pages is in this build.\n"
    lines = ["| Network | Found |", "| :-- | :-- |"]
    for page in pages:
        found = " ".join(finding_of(page).split()).replace("|", r"\|")
        lines.append(f"| {page_link(page)} | {found or 'see the page'} |")
    return "\n".join(lines) + "\n"


def overview_text(paper: str, rows: Rows) -> str:
    """The overview of a paper as MyST: question, data, method, printed results, and what this book did and found."""
    about = papers()[paper]
    of_paper = [row for row in rows if row["paper"] == paper]
    pages = [page for page in book_pages() if page.startswith(f"{paper}/")]
    found = [(page, finding_of(page)) for page in pages]
    cohorts = {row["cohort"] for row in of_paper} - {""}
    printed = [row for row in of_paper if row["id"] in about.get("printed", ())]
    parts = [
        f"**Question.** {about['question']}",
        f"## Data\n\n{about['data']}",
        f"## Method\n\n{about['method']}",
        f"## Results as printed\n\n{about['says']}",
        _printed_table(printed),
        f"## What this book did\n\n{about['here']}",
        f"## What it found\n\n{finding_of(about['headline'])}",
        _counts(of_paper),
        DRAWN if cohorts and all("synthetic" in cohort for cohort in cohorts) else "",
        *(
            f"- {page_link(page)}: {'the finding at the top of this section.' if page == about['headline'] else text}"
            for page, text in found
            if text and not _is_one_of_many(page)
        ),
        _trainings(paper, pages),
        f"## Sources\n\n{{cite:t}}`{about['reference']}`. {about['edition']}\n\n{about['code']}",
        "Every printed number of this paper is in {doc}`/book/claims`; every figure, table and equation in {doc}`/book/finder`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _is_one_of_many(page: str) -> bool:
    """Whether a notebook makes this page and others like it, one for each network."""
    return page.count("/") == 2


def _trainings(paper: str, pages: Sequence[str]) -> str:
    """A line that leads to the pages of single networks; empty where the paper has none."""
    count = sum(map(_is_one_of_many, pages))
    if not count or not (repository() / "book" / f"training_{paper}.md").is_file():
        return ""
    return f"- {{doc}}`Training </book/training_{paper}>`: a page for each of {in_words(count)} networks, with the result of each."


def _printed_table(rows: Rows) -> str:
    if not rows:
        return ""
    lines = ["| In the paper | Printed | In this book | Verdict |", "| :-- | :-- | :-- | :-- |"]
    for row in rows:
        sign = VERDICT_SIGNS.get(row["verdict"], "")
        link = f'<a href="claims.html#{anchor_of(row["id"])}">{sign} {row["verdict"]}</a>'
        cells = (claim_named(row["id"]).location, row["published"], _own_value(row))
        lines.append("| " + " | ".join(map(cell_text, cells)) + f" | {link} |")
    shown = {row["verdict"] for row in rows}
    notes = [text for kinds, text in NOTES if shown & set(kinds)]
    return "\n".join([*lines, "\n" + " ".join([*notes, "Each verdict leads to its reason."])])


def _own_value(row: Mapping[str, Any]) -> str:
    """The number under "In this book"; none beside a conflict of printed numbers if it was measured on other data."""
    settled = row["verdict"] in ("conflicts", "cannot hold") and claim_named(row["id"]).needs == "training"
    other_data = row["cohort"] not in ("", row["paper"])
    return "–" if settled and other_data else row["shown"] or "–"


def _counts(rows: Rows) -> str:
    """How many printed numbers of a paper hold, conflict and were not tested."""
    targets = [row for row in rows if row["verdict"] != NO_TARGET]
    if not targets:
        return ""
    left = {
        "computed with other data, weights or sizes": number_of(targets, ["stand-in"]),
        "not computed": number_of(targets, ["not yet run"]),
    }
    reasons = listed(
        [f"{count} {words}" if all(left.values()) else words for words, count in left.items() if count]
    )
    counts = {
        ("agrees", "agree", "with what this book computed"): number_of(targets, HOLDS),
        ("disagrees", "disagree", "with others or with what was measured"): number_of(targets, CONFLICTS),
        ("is", "are", f"not judged ({reasons})"): sum(left.values()),
    }
    if sum(left.values()) == len(targets):
        why = listed(
            [f"{count} {agreeing(count, 'was', 'were')} {words}" for words, count in left.items() if count]
        )
        return f"None of its {counted(len(targets), 'printed statement')} is judged: {why}."
    said = [
        f"{count} {agreeing(count, one, several)} {words}"
        for (one, several, words), count in counts.items()
        if count
    ]
    return f"Of its {counted(len(targets), 'printed number')}, {listed(said)}."
