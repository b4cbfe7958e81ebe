"""The table of findings: every finding once, with its numbers and code, and a label on every control."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from als_core.claims.findings import findings
from als_core.studies.cross_paper.audit import check_all
from als_core.studies.cross_paper.findings_table import findings_table

QUICK = [
    each for each in findings() if each not in {"X9", "X13", "X18", "M11"}
]  # no network is built for these


@pytest.fixture(scope="module")
def table() -> str:
    return findings_table(list(findings().values()), check_all(QUICK))


class Balance(HTMLParser):
    """Check that every tag is closed, and keep ids and labels."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.labels = [], [], 0

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        if tag == "select":
            self.labels += self.open[-2] == "label"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_tag_is_closed_and_every_select_has_a_label(table):
    parser = Balance()
    parser.feed(table)
    assert not parser.open and parser.labels == 3
    assert len(parser.ids) == len(set(parser.ids))
    assert [each for each in parser.ids if each.startswith("finding-")] == [
        f"finding-{each}" for each in findings()
    ]


def test_the_html_makes_no_request_to_another_host(table):
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?(https?:)?//", table)


def test_a_finding_has_its_words_numbers_and_code(table):
    m3 = table[table.index('id="finding-M3"') : table.index('id="finding-M4"')]
    finding = findings()["M3"]
    for text in (finding.title, finding.computed, finding.follows, finding.instead):
        assert text in m3
    assert (
        m3.count("<tr>") == 1 + len(finding.stated)
        and "def cells_that_repeat_another_grid()" in m3
        and "miao2023/audit.py, line" in m3
    )
    assert 'href="../claims.html#miao2023-fig15-' in m3


def test_a_finding_that_was_not_computed_says_so(table):
    x13 = table[table.index('id="finding-X13"') : table.index('id="finding-X14"')]
    assert "not computed in this profile" in x13 and "def costs_of_the_recovered_networks()" in x13


def test_words_are_escaped():
    finding = replace(findings()["M3"], title="a < b & <script>", where='"quoted"')
    html = findings_table([finding], check_all(["M3"]))
    assert "a &lt; b &amp; &lt;script&gt;" in html and "&quot;quoted&quot;" in html


def test_a_number_that_does_not_agree_is_marked():
    numbers = check_all(["M3"])
    numbers.loc[0, "agrees"] = False
    assert findings_table([findings()["M3"]], numbers).count("<strong>no</strong>") == 1
