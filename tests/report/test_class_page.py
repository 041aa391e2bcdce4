"""What only the page of a classifier has."""

import re
from dataclasses import replace

from tests.report.conftest import example
from tests.report.reader import read, row_of
from tidegate.evaluate.report import ClassReport, ForecastReport, render


def text_of(page: str) -> str:
    return "".join(read(page).text)


def titles_of(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def cell(page: str, count: str) -> str:
    return next(one for one in re.findall(r"<td.*?</td>", page) if f">{count}</" in one)


def test_sections_are_in_the_order_of_reading_and_absent_where_there_is_nothing(class_full: ClassReport) -> None:
    page = render(class_full)
    assert titles_of(page) == [
        *("Scores", "Training", "Classes", "Calibration", "Evidence", "Surest mistakes", "Tuning", "Notes and settings"),
    ]
    assert page.index('class="verdict good"') < page.index("<section")
    bare = replace(class_full, calibration=None, confusion=None, classes=[], evidence=[], mistakes=[], tuning=None)
    assert titles_of(render(bare)) == ["Scores", "Training", "Notes and settings"]
    unscored = replace(
        bare, confusion={"classes": ["a", "b"], "counts": [[0, 0], [0, 0]]}, calibration={"bins": [], "ece": None, "temperature": None}
    )
    assert titles_of(render(unscored)) == ["Scores", "Training", "Notes and settings"]


def test_words_are_those_of_classification(class_full: ClassReport, full: ForecastReport) -> None:
    text = text_of(render(class_full))
    for word in ("forecast", "MAE", "units", "origin", "lead time", "cleaning"):
        assert word not in text, word
    assert "judged on validation sequences only" in text
    assert "This is the first of 3 networks" in text
    assert "networks, whose" not in text_of(render(replace(class_full, members=1)))
    assert "table.confusion" not in render(full)


def test_leaderboard_has_per_cents_points_and_the_best_by_either_direction(class_full: ClassReport) -> None:
    page = render(class_full)
    head = re.findall(r'<th scope="col">(.*?)</th>', page[page.index("<thead>") : page.index("</thead>")])
    assert head == ["classifier", "accuracy", "vs model, points", "balanced accuracy", "macro F1", "log loss", "ROC AUC", "ECE"]
    mine, rival, worst = (row_of(page, f"<td>{name}</td>") for name in ("conv-lstm", "nearest_<wbr>neighbour", "majority"))
    assert mine.startswith('<tr class="mine">')
    assert "<td>80.0 %</td>" in mine
    assert '<td class="best">82.5 %</td><td class="better">+2.5</td>' in rival
    assert '<td class="worse">−40.0</td>' in worst
    assert '<td class="best">0.5100</td><td class="best">0.9300</td>' in mine
    assert '<td class="best">0.00 %</td>' in worst


def test_confusion_has_the_truth_in_rows_and_is_shaded_by_their_share(class_full: ClassReport) -> None:
    page = render(class_full)
    row = row_of(page, '<th scope="row" title="wave">')
    assert re.findall(r">(\d+)<", row) == ["30", "7", "3"]
    assert '<td class="hit deep"><i style="opacity:0.75">' in row
    assert '<td><i style="opacity:0.17">' in row
    assert cell(page, "40").startswith('<td class="hit deep"><i style="opacity:1.00">')
    assert '<td class="none">0</td>' in row_of(page, '<th scope="row" title="点头">')
    assert "Most often 'push' is taken for 'wave' (12 of 40), 'wave' for '点头' (7 of 40), 'wave' for 'push' (3 of 40)." in text_of(page)
    right = replace(class_full, confusion={"classes": ["a", "b"], "counts": [[3, 0], [0, 4]]})
    assert "No class is taken for another." in text_of(render(right))


def test_of_many_classes_the_most_confused_are_shown_and_the_others_counted_together(class_full: ClassReport) -> None:
    counts = [[50 if row == column else 0 for column in range(23)] for row in range(23)]
    for number in range(20):
        counts[number][(number + 1) % 20] = 1
    counts[0][21] = 5  # 21 now takes part in more mistakes than those that take part in two
    names = [f"class {number}" for number in range(23)]
    page = render(replace(class_full, confusion={"classes": names, "counts": counts}, classes=[]))
    shown = re.findall(r'<th scope="row" title="class (\d+)">', page)
    assert len(shown) == 20
    assert "21" in shown and "22" not in shown and "20" not in shown
    assert "Of 23 classes the 20 that take part in the most mistakes are shown." in text_of(page)
    left_out = (set(map(str, range(20))) - set(shown)).pop()
    assert row_of(page, f'<th scope="row" title="class {int(left_out) - 1}"').endswith(
        '<td class="rest"><i style="opacity:0.08"></i><span>1</span></td></tr>'
    )
    assert "<span>others</span>" not in render(class_full)


def test_table_of_classes_has_a_dash_for_what_is_undefined_and_is_folded_if_long(class_full: ClassReport) -> None:
    page = render(class_full)
    row = row_of(page, "<td>push</td>")
    assert "<td>40</td><td>–</td><td>65.0 %</td>" in row
    assert '<i style="width:75.4%">' in row
    assert "<details><summary>All 21" not in page
    assert "<details><summary>All 21 classes" in render(replace(class_full, classes=[class_full.classes[0]] * 21))


def test_calibration_is_drawn_and_said(class_full: ClassReport) -> None:
    page = render(class_full)
    text = text_of(page).replace("\u00a0", " ")
    assert "On average the model gives its answer 90 % and is right in 88 % of the sequences." in text
    assert "3.1 points apart in the mean (ECE, the expected calibration error of 15 bins)" in text
    assert "A temperature of 1.34, found on sequences held aside, softens the probabilities" in text
    drawn = page[page.index('aria-label="Share that is right') :]
    assert drawn[: drawn.index("</svg></div>")].count("h.01") == 4
    assert drawn[: drawn.index("</svg></div>")].count("whisker") == 4
    assert "says 96.7 %  right 94.7 %  76 of 80" in text
    found = class_full.calibration
    assert found is not None
    for temperature, words in ((0.5, "sharpens the probabilities"), (1.0, "the temperature is 1"), (None, "no sequence was held aside")):
        assert words in text_of(render(replace(class_full, calibration={**found, "temperature": temperature})))


def test_interval_of_a_bin_is_that_of_wilson(class_full: ClassReport) -> None:
    bins = [{"count": 10, "confidence": 1.0, "accuracy": 1.0}]
    page = render(replace(class_full, calibration={"bins": bins, "ece": 0.0, "temperature": 1.0}))  # pyright: ignore[reportArgumentType]
    found = re.search(r'class="line whisker" d="M1000 ([\d.]+)L1000 0"', page)
    assert found and abs(float(found[1]) - 220 * 0.2775) < 0.1  # 10 of 10: from 72.25 %


def test_examples_say_what_was_predicted_and_whether_it_is_right(class_full: ClassReport) -> None:
    text = text_of(render(class_full)).replace("\u00a0", " ")
    assert "sequence 7 ✓ rightpredicted: wave, with 91 %" in text
    assert "sequence 9 ✗ wrongpredicted: wave, with 55 %; true: push" in text
    assert "predicted: wave, with over 99.9 %; true: push" in text
    assert "predicted: 点头, with 80 %; true: a class that training never saw" in text
    assert "The first 3 of 5 channels are drawn." in text
    assert "channel_3" in text and "channel_4" not in text


def test_weights_shade_their_part_of_the_sequence(class_full: ClassReport) -> None:
    def shades(weights: list | None) -> list[tuple[float, float, float]]:
        page = render(replace(class_full, evidence=[], mistakes=[example("t", "a", "b", 0.5, weights=weights)]))
        drawn = page[page.index('aria-label="t, channel_1"') :]
        found = re.findall(r'<rect class="fill" x="([\d.]+)" y="0" width="([\d.]+)" height="110" fill-opacity="([\d.]+)"', drawn)
        return [(float(x), float(width), float(opacity)) for x, width, opacity in found]

    assert shades(None) == []
    (first, *_, last) = shades([0.05, 0.05, 0.05, 0.85])
    assert first[0] == 0 and last[0] + last[1] == 1000
    assert last[2] == 0.45 and first[2] < 0.1
    assert last[0] == 750
    assert {opacity for _, _, opacity in shades([0.25] * 4)} == {0.15}
    assert len(shades([1.0] * 1000)) == 120
    assert len(shades([None, float("nan"), 1.0])) == 1
    assert shades([0.0] * 5) == []
    assert "The colour is the attention weight." in render(replace(class_full, mistakes=[example("t", "a", "b", 0.5, weights=[1.0])]))
