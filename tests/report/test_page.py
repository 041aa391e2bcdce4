import re
from dataclasses import replace

import pytest

from tests.report.reader import read, row_of
from tidegate.evaluate.report import ClassReport, ForecastReport, SpeechReport, render


@pytest.fixture(params=["full", "odd", "empty", "class_full", "class_odd", "class_empty", "speech_full", "speech_odd", "speech_empty"])
def page(request: pytest.FixtureRequest) -> str:
    if request.param == "empty":
        return render(ForecastReport(title="", verdict="", beats=None, model=""))
    if request.param == "class_empty":
        return render(ClassReport(title="", verdict="", beats=None, model=""))
    if request.param == "speech_empty":
        return render(SpeechReport(title="", verdict="", beats=None, model=""))
    return render(request.getfixturevalue(request.param))


def test_tags_close_in_order(page: str) -> None:
    assert {"html", "body", "main", "h1"} <= set(read(page).tags)


def test_page_loads_nothing(page: str) -> None:
    reader = read(page)
    assert not {"script", "link", "iframe", "img", "use", "object", "embed", "base"} & set(reader.tags)
    for name, value in reader.attributes:
        assert name not in ("src", "srcset", "action", "data")
        assert not name.startswith("on")
        assert "http:" not in (value or "")
        assert "https:" not in (value or "")
        if name == "href":
            assert (value or "").startswith(("#", "data:image/png;base64,"))
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in page


def test_page_is_utf8_and_has_no_number_that_is_none(page: str) -> None:
    page.encode("utf-8")
    assert "\x00" not in page
    for value in re.findall(r'\b(?:d|x|y|x1|x2|y1|y2|width|height)="([^"]*)"', page):
        assert not re.search(r"nan|inf|none|e[-+]?\d", value, re.I), value


SIZES = [
    ("full", 300_000),
    ("odd", 600_000),
    ("class_full", 200_000),
    ("class_odd", 200_000),
    ("speech_full", 60_000),
    ("speech_odd", 500_000),
]


@pytest.mark.parametrize(("name", "most"), SIZES)
def test_size_is_small(name: str, most: int, request: pytest.FixtureRequest) -> None:
    assert len(render(request.getfixturevalue(name)).encode()) < most


@pytest.mark.parametrize("name", ["odd", "class_odd", "speech_odd"])
def test_markup_in_names_is_shown_not_obeyed(name: str, request: pytest.FixtureRequest) -> None:
    page = render(request.getfixturevalue(name))
    reader = read(page)
    assert "b" not in reader.tags
    assert "onload" not in {name for name, _ in reader.attributes}
    assert page.count("&lt;b onload=&quot;x()&quot;&gt;&#x27;温度&lt;/b&gt;&amp;") > 20


def test_markup_in_links_to_web_pages_stays_text(full: ForecastReport) -> None:
    reader = read(render(replace(full, notes=["see https://example.org/<a href='x'>"])))
    assert any("https://example.org/<a" in text for text in reader.text)


def test_verdict_comes_first_and_its_colour_says_which_way(full: ForecastReport) -> None:
    page = render(full)
    assert '<div class="verdict good"' in page
    assert '<p class="eyebrow">net</p>' in page
    assert '<p class="first">net beats ridge by 6.7\u00a0%.</p><p>It is more than noise.</p>' in page
    assert page.index('class="verdict') < page.index("<section") < page.index("<table")
    assert '<div class="verdict bad"' in render(replace(full, beats=False))
    assert '<div class="verdict"' in render(replace(full, beats=None))
    chinese = render(replace(full, verdict="模型输给了岭回归。差 4.2 %。"))
    assert '<p class="first">模型输给了岭回归。</p>' in chinese


def test_sections_are_in_the_order_of_reading(full: ForecastReport) -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", render(full))
    assert titles == ["Scores", "Training", "Forecasts", "Error by lead time", "Cleaning", "Attention", "Tuning", "Notes and settings"]
    assert re.findall(r"<h2>(.*?)</h2>", render(replace(full, tuning=None, attention=None, ablation=None)))[-2:] == [
        "Cleaning",
        "Notes and settings",
    ]


def test_leaderboard_marks_the_model_and_the_best(full: ForecastReport) -> None:
    page = render(full)
    mine, rival = row_of(page, "<td>net</td>"), row_of(page, "seasonal_<wbr>naive_<wbr>24")
    assert '<tr class="mine">' in mine
    assert '<td class="best">41.23</td>' in mine
    assert "78.0 %" in mine
    assert "mine" not in rival
    assert ">rank<" not in page
    assert '<td class="worse">+52.0 %</td>' in rival


def test_rival_that_beats_the_model_stands_out(full: ForecastReport) -> None:
    page = render(replace(full, leaderboard=[{"name": "ridge", "mae": 39.0}, {"name": "net", "mae": 40.0}]))
    assert '<td class="better">−2.5 %</td>' in row_of(page, "<td>ridge</td>")


def test_best_coverage_is_the_one_nearest_to_its_name(full: ForecastReport) -> None:
    page = render(
        replace(full, leaderboard=[{"name": "net", "mae": 1.0, "coverage_80": 0.78}, {"name": "b", "mae": 2.0, "coverage_80": 0.5}])
    )
    assert '<td class="best">78.0 %</td>' in page
    assert '<td class="best">50.0 %</td>' not in page


def test_kept_epoch_is_marked(full: ForecastReport) -> None:
    page = render(full)
    assert "best: epoch 3" in page
    assert "the best validation loss is 0.3333, after epoch 3" in page
    unmarked = [{"epoch": 1, "train_loss": 1.0, "validation_loss": 1.0}, {"epoch": 2, "train_loss": 1.0, "validation_loss": 0.5}]
    assert "best: epoch 2" in render(replace(full, history=unmarked))


def test_line_far_off_the_scale_is_named_with_its_size(full: ForecastReport) -> None:
    page = render(full)
    assert "Off the scale: drift (up to 100)." in page
    assert "Off the scale" not in render(replace(full, lead_times={"net": [1.0, 2.0], "ridge": [2.0, 3.0]}))


def test_cleaning_is_told_in_each_case(full: ForecastReport) -> None:
    page = render(full)
    assert "412 values were replaced for the network (outlier 37, sentinel 375)." in page
    assert "The first 1 of 412 replaced values" in page
    assert "missing" in row_of(page, "−999")
    assert "Cleaning was off" in render(replace(full, cleaning=None))
    assert "no value was changed" in render(replace(full, cleaning={"total": 0, "by_reason": {}, "rows": []}))


def test_attention_is_drawn_by_steps_before_the_origin_in_either_order(full: ForecastReport) -> None:
    page = render(full)
    assert "72 to 24 steps before:  25 %" in page
    assert "even weight, 50 %" in page.replace("\u00a0", " ")
    reversed_spans = {"spans": [(48, 0), (72, 24)], "weights": [0.75, 0.25], "examples": [[0.5, 0.5], [0.9, 0.1]], "titles": ["one", "two"]}
    assert render(replace(full, attention=reversed_spans)) == page
    assert "<td>41.00</td><td>50.00</td><td>−18.0 %</td>" in page


def test_tuning_shows_best_so_far_and_importance(full: ForecastReport) -> None:
    page = render(full)
    assert "4 trials (2 complete, 1 pruned, 1 failed), judged on validation origins only. Best: trial 2, 0.4." in page
    assert page.index("<span>hidden</span>") < page.index("<span>dropout</span>")
    assert '<tr class="mine"><td>2</td><td>0.4</td><td>128</td></tr>' in page


def test_past_is_cut_to_what_leaves_the_forecast_legible(full: ForecastReport) -> None:
    past, ahead = [float(step) for step in range(1000)], [1.0] * 10
    times = [str(step) for step in range(1010)]
    page = render(replace(full, forecasts=[{"title": "t", "times": times, "past": past, "observed": ahead, "forecast": ahead}]))
    drawn = page[page.index('aria-label="t"') :]
    assert ">951  951<" not in drawn
    assert ">952  952<" in drawn
    assert ">1000  forecast 1  happened 1<" in drawn
