"""The findings as a table that a reader can filter: plain HTML with a few lines of script, and no request.

Without scripts every finding is shown; only the filter is missing.
"""

from __future__ import annotations

import html
import inspect
from collections.abc import Sequence

import pandas as pd

from als_core.claims.claims import anchor_of
from als_core.claims.findings import CATEGORIES, SEVERITIES, Finding, computation_of
from als_core.storage import repository
from als_core.studies.cross_paper.audit import claims_of
from als_core.studies.cross_paper.figures_audit import PAPER_NAMES

STYLE = """
.als-findings { font-size: 0.9em; }
.als-findings form { display: flex; flex-wrap: wrap; gap: 0.6rem 1.4rem; align-items: end; margin: 0.4rem 0 0.8rem; }
.als-findings label { display: grid; gap: 0.15rem; font-weight: 500; }
.als-findings select { font: inherit; padding: 0.25rem 0.4rem; max-width: 100%; color: var(--pst-color-text-base);
  background: var(--pst-color-background); border: 1px solid var(--pst-color-border); border-radius: 3px; }
.als-findings .als-finding { border-top: 1px solid var(--pst-color-border); padding: 0.45rem 0; }
.als-findings .als-finding > summary { cursor: pointer; }
.als-findings .als-finding > summary b { display: inline-block; min-width: 2.6rem; }
.als-findings .als-tags { color: var(--als-quiet); font-size: 0.9em; display: block; padding-left: 3.6rem; }
.als-findings dl { margin: 0.5rem 0 0.5rem 1rem; }
.als-findings dt { font-weight: 600; margin-top: 0.45rem; }
.als-findings dd { margin: 0.1rem 0 0 0; }
.als-findings .als-scroll { overflow-x: auto; }
.als-findings td, .als-findings th { padding: 0.15rem 0.9rem 0.15rem 0; text-align: left; vertical-align: top;
  border: 0; border-top: 1px solid var(--pst-color-border); }
.als-findings pre { font-size: 0.85em; overflow-x: auto; padding: 0.6rem; }
"""

SCRIPT = """
(function () {
  var box = document.getElementById("als-findings");
  var form = box.querySelector("form");
  var items = box.querySelectorAll("details.als-finding");
  var count = box.querySelector("output");
  function filter() {
    var shown = 0;
    items.forEach(function (item) {
      item.hidden = ["paper", "category", "severity"].some(function (name) {
        var wanted = form.elements[name].value;
        return wanted && item.dataset[name] !== wanted;
      });
      shown += item.hidden ? 0 : 1;
    });
    count.textContent = shown + " of " + items.length + " findings";
  }
  function open() {
    var item = location.hash.indexOf("#finding-") === 0 && document.getElementById(location.hash.slice(1));
    if (item) { form.reset(); filter(); item.open = true; item.scrollIntoView(); }
  }
  form.hidden = false;
  form.addEventListener("change", filter);
  form.addEventListener("reset", function () { setTimeout(filter, 0); });
  window.addEventListener("hashchange", open);
  filter();
  open();
})();
"""


def findings_table(findings: Sequence[Finding], numbers: pd.DataFrame) -> str:
    """Write all findings as HTML with filters for paper, category and severity.

    Each finding opens to its words, its numbers as stated and as computed on this page, and the code that computed them.
    numbers: from `audit.check_all`; a finding without rows there is marked as not computed.
    """
    choices = {
        "paper": {name: PAPER_NAMES[name] for name in PAPER_NAMES if any(f.paper == name for f in findings)},
        "category": {name: name for name in CATEGORIES},
        "severity": {name: name for name in SEVERITIES},
    }
    selects = "".join(_select(name, options) for name, options in choices.items())
    by_finding = dict(list(numbers.groupby("finding")))
    items = "".join(_item(each, by_finding.get(each.id)) for each in findings)
    return (
        f'<div class="als-findings" id="als-findings"><style>{STYLE}</style>'
        f'<form hidden aria-label="Filter the findings">{selects}<button type="reset">Show all</button>'
        f'<output aria-live="polite"></output></form>{items}</div><script>{SCRIPT}</script>'
    )


def _select(name: str, options: dict[str, str]) -> str:
    inside = "".join(
        f'<option value="{_text(value)}">{_text(label)}</option>' for value, label in options.items()
    )
    title = name.capitalize()
    return f'<label>{title}<select name="{name}"><option value="">all</option>{inside}</select></label>'


def _item(finding: Finding, numbers: pd.DataFrame | None) -> str:
    words = {
        "Where": finding.where,
        "Computed": finding.computed,
        "What follows": finding.follows,
        "What a fair reproduction does instead": finding.instead,
    }
    parts = "".join(f"<dt>{name}</dt><dd>{_text(text)}</dd>" for name, text in words.items())
    claims = claims_of(finding.id)
    if claims:
        links = ", ".join(
            f'<a href="../claims.html#{anchor_of(each)}"><code>{each}</code></a>' for each in claims[:6]
        )
        more = f" and {len(claims) - 6} more" if len(claims) > 6 else ""
        parts += f"<dt>Published numbers it is about</dt><dd>{links}{more}</dd>"
    tags = " · ".join((PAPER_NAMES[finding.paper], finding.severity, finding.category))
    return (
        f'<details class="als-finding" id="finding-{finding.id}" data-paper="{finding.paper}" '
        f'data-category="{_text(finding.category)}" data-severity="{finding.severity}">'
        f'<summary><b>{finding.id}</b> {_text(finding.title)}<span class="als-tags">{_text(tags)}</span></summary>'
        f"<dl>{parts}</dl>{_numbers(numbers)}{_code(finding.id)}</details>\n"
    )


def _numbers(numbers: pd.DataFrame | None) -> str:
    if numbers is None:
        return "<p>Its numbers need the networks to be built, and were not computed in this profile.</p>"
    body = "".join(
        f"<tr><td>{_text(row.means)}</td><td>{_text(row.stated)}</td><td>{_text(_short(row.computed))}</td><td>{'yes' if row.agrees else '<strong>no</strong>'}</td></tr>"
        for row in numbers.itertuples()
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Number", "As stated", "Computed here", "Agree")
    )
    return f'<div class="als-scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _code(finding_id: str) -> str:
    function = computation_of(finding_id)
    source, line = inspect.getsourcelines(function)
    file = inspect.getsourcefile(function)
    place = f"{file.removeprefix(str(repository()))[1:]}, line {line}"
    return f"<details><summary>Code: <code>{_text(place)}</code></summary><pre>{_text(''.join(source))}</pre></details>"


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{float(value):.6g}"


def _text(value: str) -> str:
    return html.escape(str(value))
