"""Blocks are checked and become pages: Markdown, files and claims, with the code folded away."""

from __future__ import annotations

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from als_core.book.blocks import (
    MIME,
    answer_block,
    details_block,
    figure_block,
    note_block,
    pipe_table,
    substitutions_block,
    table_block,
    title_block,
    verdict_block,
)
from als_core.book.execute import render, without_blocks
from als_core.figures.style import DARK, INK, house_style, to_dark

DATA = pd.DataFrame({"a": [1, 2], "b": [0.5, None]})
ALT = "A line from the lower left to the upper right."


@house_style()
def drawn():
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1])
    plt.close(figure)
    return figure


def executed(*blocks, tags=()):
    outputs = [new_output("display_data", data=block.bundle()) for block in blocks]
    cell = new_code_cell("x = 1", outputs=outputs, execution_count=1)
    cell.metadata.update(tags=list(tags), papermill={"duration": 1.0})
    return new_notebook(cells=[new_markdown_cell("# Title"), cell])


def test_a_figure_becomes_markdown_with_its_files():
    page = render(executed(figure_block(drawn(), "fig-a", "A caption.", ALT, DATA)), "01_page")
    text = page.notebook.cells[2].source
    assert "```{figure} 01_page/fig-a.svg" in text and ":name: fig-a" in text and f':alt: "{ALT}"' in text
    assert set(page.files) == {"fig-a.svg", "fig-a.png", "fig-a.csv"}
    assert page.files["fig-a.csv"] == b"a,b\n1,0.5\n2,\n"
    assert page.notebook.cells[1].outputs == []


def test_the_answer_opens_the_page_even_where_it_is_computed_last():
    warning = note_block("Synthetic cohort", "Drawn.", "warning", on_top=True)
    stand_ins = substitutions_block({"Images": ("20", "190")}, "No statement about ALS.")
    answer = answer_block("Why?", "Because.", "Very.", "How.")
    sources = [cell.source for cell in render(executed(warning, stand_ins, answer), "01_page").notebook.cells]
    assert sources[0] == "# Title" and "als-answer" in sources[1]
    assert "Synthetic cohort" in sources[2] and "als-substitutions" in sources[3]


def test_a_figure_is_the_same_file_each_time():
    first, again = (figure_block(drawn(), "fig-a", "A caption.", ALT, DATA).files for _ in range(2))
    assert first == again


def test_the_dark_figure_differs_in_ink_only():
    svg = figure_block(drawn(), "fig-a", "A caption.", ALT, DATA).files["fig-a.svg"].decode()
    dark = to_dark(svg)
    assert INK in svg and INK not in dark and DARK[INK] in dark
    for light_colour, dark_colour in DARK.items():
        dark = dark.replace(dark_colour, light_colour)
    assert dark == svg


@pytest.mark.parametrize(
    "wrong", [{"name": "Fig A"}, {"caption": " "}, {"alt": "too short"}], ids=["name", "caption", "alt"]
)
def test_a_figure_without_what_a_reader_needs_is_refused(wrong):
    with pytest.raises(ValueError):
        figure_block(drawn(), **({"name": "fig-a", "caption": "C.", "alt": ALT, "data": DATA} | wrong))


def test_two_files_of_one_name_must_be_equal():
    same = executed(table_block(DATA, "t", "T"), table_block(DATA, "t", "T"))
    assert render(same, "p").files.keys() == {"t.csv"}
    with pytest.raises(ValueError, match=r"t\.csv"):
        render(executed(table_block(DATA, "t", "T"), table_block(DATA * 2, "t", "T")), "p")


def test_table_cells_cannot_break_the_table_or_the_page():
    text = pipe_table(pd.DataFrame({"name": ["a|b", "<script>", "*x*\n{role}`y`"], "n": [1, 2, 3]}))
    assert len(text.splitlines()) == 5 and "--:" in text
    assert r"a\|b" in text and r"\<script\>" in text and r"\{role\}\`y\`" in text


def test_small_numbers_of_a_column_have_one_number_of_decimals():
    table = pd.DataFrame({"share": [0.5, 0.123, None], "rate": [1e-05, 1.0, 2.0], "ms": [7.128, 1253.0, 2.0]})
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in pipe_table(table).splitlines()[2:]]
    assert [line[0] for line in lines] == ["0.500", "0.123", ""]
    assert lines[0][1] == "1e-05" and lines[1][2] == "1253"


def test_a_long_list_of_substitutions_is_folded_and_what_it_forbids_is_not():
    short, long = (
        substitutions_block({f"row {n}": ("here", "there") for n in range(rows)}, "No statement.").myst
        for rows in (8, 9)
    )
    assert "<details" not in short and "<summary>9 settings differ" in long
    assert long.index("</details>") < long.index("No statement.")


def test_a_long_table_is_folded_and_a_caption_can_hold_code():
    short, long = (table_block(pd.DataFrame({"n": range(n)}), "t", "The\n`n`.").myst for n in (20, 21))
    assert "~~~{table} The `n`." in short and "<details" not in short
    assert short.splitlines()[:2] == long.splitlines()[3:5] and long.index("<details") < long.index(
        "~~~{table}"
    )
    assert long.rindex("~~~") < long.index("</details>") < long.index("als-downloads")


def test_a_figure_is_shown_at_its_own_size():
    small = drawn()
    small.set_size_inches(3.6, 2)
    share = figure_block(small, "s", "A caption.", ALT, DATA).myst.split(":width: ")[1].split("%")[0]
    assert 45 <= int(share) <= 65


def test_a_notebook_of_several_pages_gives_each_its_title():
    page = render(executed(title_block(r"ResNet\1")), "p")
    assert page.notebook.cells[0].source == r"# ResNet\1" and len(page.notebook.cells) == 2


def test_a_long_table_of_verdicts_is_folded_under_their_count():
    row = ROW | {"reason": "1 against the printed 1"}
    short, long = (verdict_block([row] * n).myst for n in (12, 13))
    assert "<details" not in short and "<caption>" in short
    assert "13 numbers" in long and ">13 <span" in long and long.count("<tr title") == 13
    assert "against the printed" not in long


ROW = {"id": "p.x", "location": "<b>", "published": "1", "shown": "1", "verdict": "reproduced", "reason": "&"}


def test_claims_travel_with_the_page_and_html_is_escaped():
    page = render(executed(verdict_block([ROW]), details_block("<i>", {"<k>": "<v>"})), "p")
    assert page.claims == [ROW]
    text = page.notebook.cells[2].source + page.notebook.cells[3].source
    assert "<b>" not in text and "&lt;b&gt;" in text and "&amp;" in text
    assert "<i>" not in text and "<k>" not in text and "<v>" not in text


def test_run_times_go_and_code_is_folded():
    cell = render(executed(note_block("T", "x")), "p").notebook.cells[1]
    assert "papermill" not in cell.metadata and cell.metadata.tags == ["hide-input"]
    default = render(executed(tags=["parameters"]), "p").notebook.cells[1]
    assert "remove-cell" in default.metadata.tags


def test_other_outputs_stay():
    notebook = executed(note_block("T", "x"))
    notebook.cells[1].outputs.append(new_output("stream", name="stdout", text="kept"))
    page = render(notebook, "p")
    assert [output.text for output in page.notebook.cells[1].outputs] == ["kept"]
    nbformat.validate(page.notebook)
    assert MIME not in str(page.notebook)


def test_the_notebook_to_download_has_captions_and_plain_words_and_nothing_of_the_book():
    notebook = executed(figure_block(drawn(), "fig-a", "A caption.", ALT, DATA))
    notebook.cells[0].source = "(a-label)=\n# Title\n\nOf {cite:t}`xia2024`."
    copy = without_blocks(notebook)
    assert copy.cells[0].source == "# Title\n\nOf Xia 2024."
    assert "<figcaption>A caption.</figcaption>" in copy.cells[1].outputs[0].data["text/html"]
    assert MIME not in str(copy) and "papermill" not in str(copy)
    assert MIME in str(notebook), "the notebook itself is not changed"
    nbformat.validate(copy)
