"""One matplotlib picture of a forecast, for notebooks and papers. The report draws by itself and does not need this."""

import importlib
import re
import warnings
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tidegate.errors import SettingsError
from tidegate.formatting import finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC", "Hiragino Sans GB", "Heiti SC",
    "Microsoft YaHei", "SimHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Noto Sans CJK JP", "Noto Sans CJK TC", "Droid Sans Fallback",
    "Arial Unicode MS", "Noto Serif CJK SC", "Noto Serif CJK JP", "Source Han Serif SC", "SimSun", "STSong",
)  # fmt: skip
"""Fonts with Chinese characters, the best first. Older matplotlib sees only the first face of a collection, hence the JP names."""
_CJK = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_PAST, _OBSERVED, _FORECAST = "#a3abb3", "#1d2630", "#0a6c86"


class MissingFontWarning(UserWarning):
    """The text has Chinese characters and no installed font can show them."""


def plot_forecast(
    times: Sequence[Any],
    past: Sequence[float | None],
    forecast: Sequence[float | None],
    *,
    lower: Sequence[float | None] | None = None,
    upper: Sequence[float | None] | None = None,
    observed: Sequence[float | None] | None = None,
    title: str = "",
    label: str = "",
) -> "Figure":
    """A forecast after its past, with its interval and what happened.

    times     P + N times: datetimes, ISO text, or numbers; shown as they are written where they are neither
    past      P values; forecast, lower, upper and observed up to N. None and NaN leave a gap.
    label     the name of the value axis

    Returns a matplotlib Figure that belongs to no window and touches no global state of pyplot: show it in a notebook, or
    `savefig` it. Raises SettingsError if matplotlib is missing or the lengths do not fit. Warns MissingFontWarning if there are
    Chinese characters and no font for them.
    """
    figure_class = _figure_class()
    if len(times) != len(past) + len(forecast):
        raise SettingsError(f"times has {len(times)} entries; expected {len(past)} of the past and {len(forecast)} of the forecast.")
    for name, values in (("lower", lower), ("upper", upper), ("observed", observed)):
        if values is not None and len(values) > len(forecast):
            raise SettingsError(f"{name} has {len(values)} values; expected at most {len(forecast)}, as many as the forecast.")
    figure = figure_class(figsize=(9, 3.6), layout="constrained")
    axes = figure.add_subplot()
    places, words = _places(times)
    _draw(axes, places, [_gaps(values) for values in (past, forecast, lower, upper, observed)])
    axes.set_title(_plain(title), loc="left", fontsize=11)
    axes.set_ylabel(_plain(label))
    if words:
        chosen = range(0, len(words), max(1, -(-len(words) // 8)))
        axes.set_xticks([places[place] for place in chosen], [_plain(words[place]) for place in chosen])
    _use_fonts(axes, " ".join([title, label, *words]))
    return figure


def chinese_font() -> str | None:
    """The name of an installed font with Chinese characters, or None."""
    manager = importlib.import_module("matplotlib.font_manager")
    installed = {font.name for font in manager.fontManager.ttflist}
    if not installed.intersection(CJK_FONTS):
        # Matplotlib keeps a list of fonts on disk and does not notice one that was installed later.
        for path in manager.findSystemFonts():
            if re.search(r"cjk|notosanssc|sourcehan|pingfang|hiragino|yahei|simhei|wqy|droidsansfallback|simsun|stsong", path, re.I):
                manager.fontManager.addfont(path)
        installed = {font.name for font in manager.fontManager.ttflist}
    return next((name for name in CJK_FONTS if name in installed), None)


def _figure_class() -> "type[Figure]":
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SettingsError("Plots need matplotlib, which is not installed. Install it with: pip install 'tidegate[plot]'.") from None
    return Figure


def _places(times: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Times as matplotlib can place them, and their words where the axis cannot make them itself."""
    if times and all(isinstance(time, str) for time in times):
        try:
            return [datetime.fromisoformat(time) for time in times], []
        except ValueError:
            return list(range(len(times))), list(times)
    if all(isinstance(time, date | datetime) or hasattr(time, "dtype") or finite(time) is not None for time in times):
        return list(times), []
    return list(range(len(times))), [str(time) for time in times]


def _gaps(values: Sequence[float | None] | None) -> list[float] | None:
    return None if values is None else [float("nan") if (number := finite(value)) is None else number for value in values]


def _draw(axes: "Axes", places: list[Any], series: list[list[float] | None]) -> None:
    """Past, interval, what happened, forecast, in this order from back to front."""
    past, forecast, lower, upper, observed = (values or [] for values in series)
    ahead = places[len(past) :]
    axes.plot(places[: len(past)], past, color=_PAST, linewidth=1.2, label="past", marker=_marker(past))
    if lower and upper:
        size = min(len(lower), len(upper))
        axes.fill_between(ahead[:size], lower[:size], upper[:size], color=_FORECAST, alpha=0.16, linewidth=0, label="interval")
    if observed:
        axes.plot(ahead[: len(observed)], observed, color=_OBSERVED, linewidth=1.2, label="what happened", marker=_marker(observed))
    axes.plot(ahead, forecast, color=_FORECAST, linewidth=1.8, label="forecast", marker=_marker(forecast))
    axes.grid(axis="y", color="#e2e4e3", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=9)
    axes.margins(x=0.01)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.1), ncols=4, frameon=False, fontsize=9)


def _marker(values: Sequence[float]) -> str:
    """A dot where there is one value only, which a line cannot show."""
    return "o" if len(values) == 1 else ""


def _plain(text: str) -> str:
    """Text without matplotlib's mathematics: a dollar sign in a column's name is a dollar sign."""
    return text.replace("$", r"\$")


def _use_fonts(axes: "Axes", text: str) -> None:
    """A font that has the characters of the text, on this picture only."""
    if not _CJK.search(text):
        return
    font = chinese_font()
    if font is None:
        warnings.warn(
            "The text has Chinese characters and no installed font shows them. Install one, such as Noto Sans CJK "
            "(Debian and Ubuntu: apt-get install fonts-noto-cjk; elsewhere: the package or download 'Noto Sans CJK SC').",
            MissingFontWarning,
            stacklevel=3,
        )
        return
    family = [font, "DejaVu Sans"]
    for words in (axes.title, axes.yaxis.label, axes.xaxis.label):
        words.set_fontfamily(family)
    axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=11, fontfamily=family)
    axes.tick_params(labelfontfamily=family)
