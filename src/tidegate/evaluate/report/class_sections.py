"""The sections that only the report of a classifier has. A section that has nothing to show is None."""

from collections.abc import Sequence

from tidegate.evaluate.report import class_charts, confusion, sections
from tidegate.evaluate.report.data import Calibration, ClassReport, Confusion, Example
from tidegate.evaluate.report.markup import paragraph, titled
from tidegate.evaluate.report.scales import known
from tidegate.formatting import finite, format_number, format_share

SIDE_BY_SIDE = 6
"""Up to so many classes the table stands beside the matrix."""
MOST_OPEN = 20
"""A table of more classes is folded."""


def scores(report: ClassReport) -> str | None:
    """The leaderboard."""
    meaning = (
        "Balanced accuracy and macro F1 count each class alike; log loss (in nats) and ECE (how far the probabilities are off) are better "
        "when lower, the others when higher. The best of each column is bold; 'vs model' is how many points of accuracy a rival has more "
        "or less than the model."
    )
    return sections.leaderboard(report, meaning, "classifier")


def classes(report: ClassReport) -> str | None:
    """Which classes are taken for which."""
    matrix = report.confusion
    if matrix is not None and not any(map(any, matrix["counts"])):
        matrix = None
    parts = []
    if matrix is not None:
        parts.append(titled("Confusion", confusion.confusion_table(matrix)))
    if len(report.classes) > MOST_OPEN:
        parts.append(f"<details><summary>All {len(report.classes)} classes</summary>{confusion.class_table(report.classes)}</details>")
    elif report.classes:
        parts.append(titled("By class", confusion.class_table(report.classes)))
    if not parts:
        return None
    text = "Precision is the share of a class's predictions that are right, recall the share of its sequences that are found."
    if matrix is not None:
        text = f"{_matrix_words(matrix)} {text}" if report.classes else _matrix_words(matrix)
    beside = len(parts) == 2 and len(report.classes) <= SIDE_BY_SIDE
    return paragraph(text) + (f'<div class="beside">{"".join(parts)}</div>' if beside else "".join(parts))


def calibration(report: ClassReport) -> str | None:
    """Whether the probabilities are right as often as they say."""
    found = report.calibration
    if found is None or not any(one["count"] for one in found["bins"]):
        return None
    pictures = class_charts.reliability_chart(found) + class_charts.sureness_chart(found)
    return paragraph(_calibration_words(found)) + f'<div class="pair level">{pictures}</div>'


def evidence(report: ClassReport) -> str | None:
    """Where the network looks."""
    if not report.evidence:
        return None
    text = (
        "Sequences of the test part, right and wrong ones. The stronger the colour, the larger the attention weight; where all are alike "
        "it is pale. Weights say where the network looks, not why."
    )
    return paragraph(text + _channel_words(report.evidence)) + _pictures(report.evidence)


def mistakes(report: ClassReport) -> str | None:
    """Sequences that are wrong with the highest probability."""
    if not report.mistakes:
        return None
    shaded = " The colour is the attention weight." if any(known(one.get("weights") or ()) for one in report.mistakes) else ""
    text = f"The mistakes that the model is surest of. A wrong label in the data often shows here first.{shaded}"
    return paragraph(text + _channel_words(report.mistakes)) + _pictures(report.mistakes)


def _pictures(examples: Sequence[Example]) -> str:
    return f'<div class="pair">{"".join(map(class_charts.example_chart, examples))}</div>'


def _matrix_words(matrix: Confusion) -> str:
    text = (
        f"Rows are the true classes, columns the predicted ones; the colour is the share of the row. {confusion.mistakes_in_words(matrix)}"
    )
    num = len(matrix["classes"])
    if num <= confusion.MOST_CLASSES:
        return text
    return f"{text} Of {num} classes the {confusion.MOST_CLASSES} that take part in the most mistakes are shown."


def _calibration_words(found: Calibration) -> str:
    total = sum(one["count"] for one in found["bins"])
    said, right = (sum(one["count"] * (finite(one[name]) or 0.0) for one in found["bins"]) / total for name in ("confidence", "accuracy"))
    parts = [f"On average the model gives its answer {format_share(said)} and is right in {format_share(right)} of the sequences."]
    if finite(found["ece"]) is not None:
        text = f"Bin by bin the two are {format_number(100 * (finite(found['ece']) or 0.0), 2)} points apart in the mean"
        parts.append(f"{text} (ECE, the expected calibration error of {len(found['bins'])} bins).")
    temperature = finite(found["temperature"])
    if temperature is None:
        parts.append("The probabilities are as the network gives them: no sequence was held aside to correct them on.")
    elif abs(temperature - 1) < 0.005:
        parts.append("Sequences held aside asked for no correction: the temperature is 1.")
    else:
        effect, fault = ("softens", "sure") if temperature > 1 else ("sharpens", "timid")
        parts.append(
            f"A temperature of {format_number(temperature, 3)}, found on sequences held aside, {effect} the probabilities: by itself the "
            f"network is too {fault}."
        )
    return " ".join(parts)


def _channel_words(examples: Sequence[Example]) -> str:
    num = max(len(example["channels"]) for example in examples)
    most = class_charts.MOST_CHANNELS
    return f" The first {most} of {num} channels are drawn." if num > most else ""
