"""Which classes are taken for which: the confusion matrix, and the scores of each class."""

from collections.abc import Sequence

from tidegate.evaluate.report.data import ClassRow, Confusion
from tidegate.evaluate.report.markup import escape
from tidegate.evaluate.report.scales import shorten
from tidegate.evaluate.report.tables import scrolled, table
from tidegate.formatting import finite, fixed, format_number
from tidegate.scores import per_cents

MOST_CLASSES = 20
"""A matrix of more classes shows those that are confused most."""
MOST_MISTAKES = 3
"""Pairs of classes that are named in words."""
DEEP = 0.5
"""The share from which a cell's count is written in the colour of the paper."""


def most_confused(confusion: Confusion) -> list[int]:
    """The classes to show, in their order: those that take part in the most mistakes, as truth or as prediction."""
    counts = confusion["counts"]
    numbers = range(len(counts))
    mistakes = [sum(counts[number]) + sum(row[number] for row in counts) - 2 * counts[number][number] for number in numbers]
    ranked = sorted(numbers, key=lambda number: (-mistakes[number], -sum(counts[number]), number))
    return sorted(ranked[:MOST_CLASSES])


def mistakes_in_words(confusion: Confusion) -> str:
    """The most frequent mistakes: "Most often 'a' is taken for 'b' (12 of 80)."."""
    classes, counts = confusion["classes"], confusion["counts"]
    pairs = [(-count, truth, said) for truth, row in enumerate(counts) for said, count in enumerate(row) if truth != said and count]
    if not pairs:
        return "No class is taken for another."
    named = [
        f"'{shorten(classes[truth], 40)}' {'is taken ' if place == 0 else ''}for '{shorten(classes[said], 40)}' "
        f"({format_number(-count)} of {format_number(sum(counts[truth]))})"
        for place, (count, truth, said) in enumerate(sorted(pairs)[:MOST_MISTAKES])
    ]
    return f"Most often {', '.join(named)}."


def confusion_table(confusion: Confusion) -> str:
    """Rows are the truth, columns the prediction; the shade is the share of the row, right ones in another colour than mistakes."""
    classes, counts = confusion["classes"], confusion["counts"]
    shown = most_confused(confusion)
    others = len(shown) < len(classes)
    names = [shorten(classes[number], 24) for number in shown] + (["others"] if others else [])
    steep = max(map(len, names)) > 4 and sum(max(6, len(name)) for name in names) > 72
    heads = "".join(
        f'<th scope="col" class="name"{_title(classes[shown[place]]) if place < len(shown) else ""}>'
        f"<span>{escape(shorten(name, 17) if steep else name)}</span></th>"
        for place, name in enumerate(names)
    )
    rows = []
    for place, truth in enumerate(shown):
        row = counts[truth]
        kept = [row[said] for said in shown] + ([sum(row) - sum(row[said] for said in shown)] if others else [])
        styles = ["hit" if said == truth else "" for said in shown] + ["rest"]
        cells = "".join(_cell(count, sum(row), style) for count, style in zip(kept, styles, strict=False))
        rows.append(f'<tr><th scope="row"{_title(classes[truth])}>{escape(names[place])}</th>{cells}</tr>')
    style = "confusion" + (" many" if len(names) > 12 else "") + (" steep" if steep else "")
    axis = f'<tr><th></th><th class="axis" scope="colgroup" colspan="{len(names)}">predicted</th></tr>'
    head = f'<thead>{axis}<tr><th scope="col">true</th>{heads}</tr></thead>'
    return scrolled(f'<table class="{style}">{head}<tbody>{"".join(rows)}</tbody></table>')


def class_table(rows: Sequence[ClassRow]) -> str:
    """Each class: its sequences, precision, recall and F1, the last with a bar."""
    columns = [per_cents([row[score] for row in rows]) for score in ("precision", "recall", "f1")]
    body = []
    for row, precision, recall, f1 in zip(rows, *columns, strict=True):
        width = fixed(100 * min(1.0, max(0.0, finite(row["f1"]) or 0.0)), 1)
        bar = f'<span class="meter"><i style="width:{width}%"></i></span>'
        body.append(
            f"<tr><td>{escape(row['name'])}</td><td>{format_number(row['support'])}</td><td>{precision}</td><td>{recall}</td>"
            f"<td>{bar}{f1}</td></tr>"
        )
    return table(["class", "sequences", "precision", "recall", "F1"], body)


def _cell(count: int, total: int, style: str) -> str:
    if not count:
        return '<td class="none">0</td>'
    share = count / total
    deep = f"{style} deep".strip() if share >= DEEP else style
    name = f' class="{deep}"' if deep else ""
    return f'<td{name}><i style="opacity:{max(0.08, share):.2f}"></i><span>{format_number(count)}</span></td>'


def _title(name: str) -> str:
    return f' title="{escape(name)}"'
