"""The sections that only the report of a recogniser has. A section that has nothing to show is None."""

from collections.abc import Sequence

from tidegate.evaluate.report import charts, sections, speech_charts
from tidegate.evaluate.report.data import Aligned, SpeakerRow, SpeechReport, TokenRow
from tidegate.evaluate.report.markup import escape, flow, legend, paragraph, titled
from tidegate.evaluate.report.scales import shorten
from tidegate.evaluate.report.speech_charts import visible
from tidegate.evaluate.report.tables import table
from tidegate.formatting import finite, fixed, format_number, format_share

MOST_SPEAKERS, MOST_TOKENS, MOST_PAIRS = 24, 16, 20
"""Speakers and tokens that are shown at once, the others folded; confusions that are shown."""
ALL_TOKENS = 300
"""Of a large vocabulary the worst are listed."""
MOST_CELLS = 400
"""Tokens of one transcript."""
SIGNS = {"substitute": "≠", "delete": "−", "insert": "+"}
_SPOKEN = {"substitute": "heard as", "delete": "not heard", "insert": "not said, heard"}


def scores(report: SpeechReport) -> str | None:
    """The leaderboard."""
    rates = {
        "phones": "PER is the phone error rate; without silences is another convention, and the two do not compare.",
        "characters": "CER is the character error rate, spaces being characters; WER that of the words between them.",
        "words": "WER is the word error rate; a sentence is right where no word is wrong.",
    }.get(report.tokens, "")
    meaning = (
        f"{rates} An error rate is the least number of substitutions, deletions and insertions that turn what was said into what was "
        "heard, by what was said. best_path is the network without beam search and language model, constant says the same string to "
        "everything."
    )
    return sections.leaderboard(report, meaning, "recogniser")


def training(report: SpeechReport) -> str | None:
    """Learning curves."""
    if not report.history:
        return None
    count, best = len(report.history), charts.best_epoch(report.history)
    text = f"{count} epoch{'s' if count > 1 else ''}"
    if best is None:
        return paragraph(f"{text}; the last weights are kept.") + speech_charts.learning_charts(report.history, report.tokens)
    text += (
        f"; the lowest error rate on the development part is {format_share(best['validation_loss'])}, after epoch {best['epoch']}: these "
        f"weights are kept. It is that of the best path over the {report.tokens} as they are trained, so it differs from the scores above."
    )
    return paragraph(text) + speech_charts.learning_charts(report.history, report.tokens)


def speakers(report: SpeechReport) -> str | None:
    """Error rates by speaker."""
    rows = sorted((row for row in report.speakers if finite(row["rate"]) is not None), key=lambda row: (-(row["rate"] or 0.0), row["name"]))
    if len(rows) < 2:
        return None
    text = f"{len(rows)} speakers of the test part, from {format_share(rows[-1]['rate'])} to {format_share(rows[0]['rate'])} errors."
    top = max(row["rate"] or 0.0 for row in rows) or 1.0
    shown = _speaker_bars(rows[:MOST_SPEAKERS], top, report.tokens)
    if len(rows) > MOST_SPEAKERS:
        rest = _speaker_bars(rows[MOST_SPEAKERS:], top, report.tokens)
        shown += f"<details><summary>The other {len(rows) - MOST_SPEAKERS} speakers</summary>{rest}</details>"
    return paragraph(f"{text} A rate over few {report.tokens} says little.") + shown


def tokens(report: SpeechReport) -> str | None:
    """What becomes of each token, and which are taken for which."""
    parts, one = [], report.tokens.removesuffix("s")
    if report.by_token:
        ordered = sorted(report.by_token, key=lambda row: (row["right"] - row["count"], row["name"]))[:ALL_TOKENS]
        shown = token_table(ordered[:MOST_TOKENS], one)
        if len(ordered) > MOST_TOKENS:
            rest = token_table(ordered[MOST_TOKENS:], one)
            shown += f"<details><summary>The next {len(ordered) - MOST_TOKENS} {report.tokens}</summary>{rest}</details>"
        parts.append(titled(f"By {one}, the most errors first", shown))
    if report.confusions:
        parts.append(titled("Most frequent confusions", confusion_pairs(report)))
    if not parts:
        return None
    return paragraph(_error_words(report)) + f'<div class="{"beside" if len(parts) == 2 else ""}">{"".join(parts)}</div>'


def transcripts(report: SpeechReport) -> str | None:
    """Utterances beside what was heard."""
    if not report.transcripts:
        return None
    text = "What was said, and below it what was heard instead; where nothing stands below it is right. Time goes to the right and wraps."
    signs = [("substitute", "heard as another"), ("delete", "not heard"), ("insert", "heard but not said")]
    key = "".join(f'<li><span class="key {edit}">{SIGNS[edit]}</span>{name}</li>' for edit, name in signs)
    strips = "".join(aligned_strip(one, report.tokens) for one in report.transcripts)
    return paragraph(text) + f'<ul class="legend">{key}</ul>{strips}'


def hearings(report: SpeechReport) -> str | None:
    """Spectrograms with what the network makes of them."""
    if not report.hearings:
        return None
    text = (
        f"The mel spectrogram, and at each step the probability of the {report.tokens} that were heard; thin and grey the probability of "
        "CTC's blank, which stands between them. CTC answers in spikes, often a little late: when a spike comes is no measure of how long "
        "a sound lasts."
    )
    if report.tokens == "phones":
        text += " Phones are shown as they were learned; the scores may count some of them as one."
    lines = legend([("past thin", "blank"), ("fill post", f"{report.tokens} that were heard")])
    return paragraph(text) + lines + "".join(map(speech_charts.hearing_chart, report.hearings))


def token_table(rows: Sequence[TokenRow], one: str) -> str:
    """Each token: how often it is said, what becomes of it, and the share that is lost, with a bar."""
    body = []
    for row in rows:
        share = (row["count"] - row["right"]) / row["count"] if row["count"] else 0.0
        counts = "".join(f"<td>{format_number(row[name])}</td>" for name in ("count", "right", "substituted", "deleted"))
        body.append(f"<tr><td>{_token(row['name'])}</td>{counts}<td>{_meter(share)}{_whole_share(share)}</td></tr>")
    return table([one, "said", "right", "substituted", "deleted", "lost"], body)


def confusion_pairs(report: SpeechReport) -> str:
    """Which tokens are taken for which, and how much of the first that is."""
    counts = {row["name"]: row["count"] for row in report.by_token}
    body = []
    for said, heard, count in report.confusions[:MOST_PAIRS]:
        share = _whole_share(count / counts[said]) if counts.get(said) else ""
        pair = f'{_token(said)} <span class="to">→</span> {_token(heard)}'
        body.append(f"<tr><td>{pair}</td><td>{format_number(count)}</td><td>{share}</td></tr>")
    return table(["said → heard", "times", "of the first"], body)


def aligned_strip(one: Aligned, kind: str) -> str:
    """One utterance: each token with what was heard instead below it."""
    rows = one["rows"][:MOST_CELLS]
    cells = " ".join(_cell(*row) for row in rows) or "nothing said, nothing heard"
    more = f"<p>… and {format_number(len(one['rows']) - MOST_CELLS)} more</p>" if len(one["rows"]) > MOST_CELLS else ""
    rate = "" if finite(one["rate"]) is None else f' <span class="rate">{flow(format_share(one["rate"]))} errors</span>'
    text = f"<p>{escape(one['text'])}</p>" if one["text"] else ""
    close = " close" if kind == "characters" else ""
    head = f"<figcaption><h3>{escape(one['title'])}{rate}</h3>{text}</figcaption>"
    return f'<figure>{head}<div class="aligned{close}">{cells}</div>{more}</figure>'


def _cell(edit: str, said: str | None, heard: str | None) -> str:
    above = "<span>&nbsp;</span>" if said is None else f"<span>{_token(said)}</span>"
    if edit not in SIGNS:
        return f'<span class="cell">{above}</span>'
    sign = SIGNS[edit] if heard is None else f"{SIGNS[edit]}\u00a0{_token(heard)}"
    return f'<span class="cell {edit}">{above}<span><span class="hide"> {_SPOKEN[edit]} </span>{sign}</span></span>'


def _speaker_bars(rows: Sequence[SpeakerRow], top: float, kind: str) -> str:
    items = "".join(
        f'<span title="{escape(row["name"])}">{escape(shorten(row["name"], 32))}</span>'
        f'<span class="track"><i style="width:{100 * (row["rate"] or 0.0) / top:.1f}%"></i></span>'
        f"<span>{flow(_whole_share(row['rate'] or 0.0))}</span><span>of {_counted(row['tokens'], kind)}</span>"
        for row in rows
    )
    return f'<div class="bars speakers">{items}</div>'


def _error_words(report: SpeechReport) -> str:
    parts = []
    if report.errors:
        errors = report.errors
        parts.append(
            f"Of {_counted(errors['tokens'], report.tokens)} {format_number(errors['substitutions'])} are heard as others and "
            f"{format_number(errors['deletions'])} not at all; heard where none is said: {format_number(errors['insertions'])}."
        )
    if report.confusions:
        said, heard, count = report.confusions[0]
        often = "once" if count == 1 else f"{format_number(count)} times"
        parts.append(f"Most often '{shorten(visible(said), 40)}' is heard as '{shorten(visible(heard), 40)}' ({often}).")
    return " ".join(parts) or "Errors as they are scored."


def _counted(count: int, kind: str) -> str:
    return f"{format_number(count)} {kind.removesuffix('s') if count == 1 else kind}"


def _meter(share: float) -> str:
    return f'<span class="meter"><i style="width:{fixed(100 * min(1.0, max(0.0, share)), 1)}%"></i></span>'


def _whole_share(share: float) -> str:
    return f"{fixed(100 * share, 1)} %"


def _token(token: str) -> str:
    return escape(shorten(visible(token), 40))
