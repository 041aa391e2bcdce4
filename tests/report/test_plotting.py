import subprocess
import sys
import warnings

import numpy as np
import pytest

from tidegate import plotting
from tidegate.errors import SettingsError
from tidegate.plotting import MissingFontWarning, plot_forecast

matplotlib = pytest.importorskip("matplotlib")


def draw(figure: object) -> None:
    """What a notebook does."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()  # pyright: ignore[reportArgumentType]


def test_picture_has_past_interval_observed_and_forecast() -> None:
    times = [f"2020-01-{day:02d}" for day in range(1, 7)]
    figure = plot_forecast(times, [1, 2, None, 4], [5, 6], lower=[4, 5], upper=[6, 7], observed=[5], title="load $x_1", label="kW")
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"past", "what happened", "forecast"}
    assert len(axes.collections) == 1
    assert np.isnan(np.asarray(lines["past"].get_ydata())).tolist() == [False, False, True, False]
    assert axes.get_ylabel() == "kW"
    draw(figure)


@pytest.mark.parametrize("times", [[1, 2, 3], ["a$b", "b", "c"], [1.5, 2.5, 3.5], [None, 1, 2]])
def test_times_of_any_kind(times: list) -> None:
    draw(plot_forecast(times, [1.0, 2.0], [3.0]))


def test_nothing_at_all_is_an_empty_picture() -> None:
    draw(plot_forecast([], [], []))


def test_pyplot_stays_out() -> None:
    code = """
import sys
from tidegate.plotting import plot_forecast
assert "matplotlib" not in sys.modules
plot_forecast([1, 2], [1], [2])
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_chinese_without_a_font_warns_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotting, "chinese_font", lambda: None)
    with pytest.warns(MissingFontWarning, match="fonts-noto-cjk"):
        plot_forecast([1, 2], [1.0], [2.0], title="温度")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_forecast([1, 2], [1.0], [2.0], title="temperature °C")


def test_chinese_is_drawn_with_a_font_that_has_it() -> None:
    if plotting.chinese_font() is None:
        pytest.skip("needs a font with Chinese characters: apt-get install fonts-noto-cjk")
    figure = plot_forecast(["甲", "乙"], [1.0], [2.0], title="温度", label="负荷")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(figure)


def test_missing_matplotlib_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SettingsError, match=r"pip install 'tidegate\[plot\]'"):
        plot_forecast([1, 2], [1.0], [2.0])


def test_lengths_that_do_not_fit_are_named() -> None:
    with pytest.raises(SettingsError, match="times has 3 entries; expected 1 of the past and 1 of the forecast"):
        plot_forecast([1, 2, 3], [1.0], [2.0])
    with pytest.raises(SettingsError, match="observed has 2 values; expected at most 1"):
        plot_forecast([1, 2], [1.0], [2.0], observed=[1.0, 2.0])
