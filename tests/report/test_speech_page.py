"""What only the page of a recogniser has."""

import base64
import io
import re
import struct
import zlib
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.conftest import hearing
from tests.report.reader import read, row_of
from tidegate.evaluate.report import ClassReport, SpeechReport, render
from tidegate.evaluate.report.data import Heard
from tidegate.evaluate.report.png import embedded, png
from tidegate.evaluate.report.speech_charts import levels_of, mel, ramp, token_colours


def text_of(page: str) -> str:
    return "".join(read(page).text).replace("\u00a0", " ")


def titles_of(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def drawn(page: str, label: str) -> str:
    """The picture with this label."""
    begin = page.index(f'aria-label="{label}')
    return page[begin : page.index("</svg></div>", begin)]


def points_of(picture: bytes) -> list[bytes]:
    """The rows of a picture with a palette, by the letter of the standard."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(picture):
        (length,), name = struct.unpack(">I", picture[place : place + 4]), picture[place + 4 : place + 8]
        data = picture[place + 8 : place + 8 + length]
        assert struct.unpack(">I", picture[place + 8 + length : place + 12 + length])[0] == zlib.crc32(name + data)
        chunks[name], place = data, place + 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind == [8, 3, 0, 0, 0]
    assert len(chunks[b"PLTE"]) == 3 * len(chunks[b"tRNS"])
    lines = io.BytesIO(zlib.decompress(chunks[b"IDAT"]))
    rows = [lines.read(width + 1) for _ in range(height)]
    assert lines.read() == b"" and {row[0] for row in rows} == {0}
    return [row[1:] for row in rows]


def test_sections_are_in_the_order_of_reading_and_absent_where_there_is_nothing(speech_full: SpeechReport) -> None:
    page = render(speech_full)
    assert titles_of(page) == [
        *("Scores", "Training", "Speakers", "Errors by token", "Said and heard", "What the network hears", "Notes and settings"),
    ]
    assert page.index('class="verdict good"') < page.index("<section")
    bare = replace(speech_full, speakers=speech_full.speakers[:1], by_token=[], confusions=[], transcripts=[], hearings=[])
    assert titles_of(render(bare)) == ["Scores", "Training", "Notes and settings"]
    assert titles_of(render(replace(bare, history=[], leaderboard=[]))) == ["Notes and settings"]


def test_only_a_page_with_pictures_may_show_them(speech_full: SpeechReport, class_full: ClassReport) -> None:
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in render(speech_full)
    assert "img-src" not in render(class_full)
    assert ".aligned" not in render(class_full) and "table.confusion" not in render(speech_full)


def test_words_are_those_of_transcription(speech_full: SpeechReport) -> None:
    text = text_of(render(speech_full))
    for word in ("forecast", "MAE", "origin", "lead time", "cleaning", "class", "validation"):
        assert word not in text, word
    for kind, words in (("phones", "PER is the phone error rate"), ("characters", "CER is"), ("words", "WER is the word error rate")):
        assert words in text_of(render(replace(speech_full, tokens=kind)))
    assert "characters that were heard" in text_of(render(replace(speech_full, tokens="characters")))
    assert "Phones are shown as they were learned" not in text_of(render(replace(speech_full, tokens="words")))


def test_leaderboard_has_rates_in_per_cent_and_points(speech_full: SpeechReport) -> None:
    page = render(speech_full)
    head = re.findall(r'<th scope="col">(.*?)</th>', page[page.index("<thead>") : page.index("</thead>")])
    assert head == ["recogniser", "PER", "vs model, points", "PER without silences"]
    assert '<td class="best">17.1 %</td><td></td><td class="best">18.8 %</td>' in row_of(page, "<td>blstm</td>")
    assert '<td>23.2 %</td><td class="worse">+6.1</td>' in row_of(page, "best_<wbr>path")
    better = replace(speech_full, leaderboard=[{"name": "constant", "wer": 0.5, "sentences_right": 0.5}, {"name": "blstm", "wer": 0.6}])
    assert '<td class="best">50.0 %</td><td class="better">−10.0</td>' in row_of(render(better), "<td>constant</td>")


def test_learning_has_two_pictures_with_their_units(speech_full: SpeechReport) -> None:
    page = render(speech_full)
    text = text_of(page)
    assert "the lowest error rate on the development part is 33.3 %, after epoch 3: these weights are kept" in text
    assert "CTC, in nats a phone." in text
    assert "Per cent of the phones of the development part, by the best path." in text
    assert ">best: epoch 3<" in drawn(page, "Error rate on the development part by epoch")
    assert "best:" not in drawn(page, "Training loss by epoch")
    assert "epoch 2:  loss 1.5  errors 50 %" in text
    last = [{"epoch": epoch, "train_loss": 1.0, "validation_loss": None} for epoch in (1, 2)]
    page = render(replace(speech_full, history=last))
    assert "2 epochs; the last weights are kept." in page
    assert "Development error rate" not in page


def test_speakers_are_sorted_by_their_rate_with_counts(speech_full: SpeechReport) -> None:
    page = render(speech_full)
    assert page.index('<span title="fcca0">') < page.index('<span title="mylu0">')
    assert "silent" not in page
    assert "2 speakers of the test part, from 10.6 % to 27.5 % errors." in text_of(page)
    found = re.findall(r'style="width:([\d.]+)%"></i></span><span>([^<]*)</span><span>([^<]*)<', page)
    assert found == [("100.0", "27.5\u00a0%", "of 1 phone"), ("38.5", "10.6\u00a0%", "of 284 phones")]
    many = [{"name": f"s{number}", "rate": number / 100, "tokens": 9, "utterances": 1} for number in range(30)]
    assert "<summary>The other 6 speakers</summary>" in render(replace(speech_full, speakers=many))


def test_tokens_with_the_most_errors_come_first(speech_full: SpeechReport) -> None:
    page = render(speech_full)
    names = [name for name in re.findall(r"<tr><td>(\w+)</td>", page) if name in ("aa", "sil", "r")]
    assert names == ["aa", "sil", "r"]
    row = row_of(page, "<td>aa</td>")
    assert "<td>34</td><td>20</td><td>5</td><td>9</td>" in row
    assert 'style="width:41.2%"' in row and "41.2 %" in row
    many = [{"name": f"p{number}", "count": 9, "right": number % 9, "substituted": 0, "deleted": 0} for number in range(400)]
    page = render(replace(speech_full, by_token=many))
    assert "<summary>The next 284 phones</summary>" in page


def test_confusions_say_what_was_heard_for_what(speech_full: SpeechReport) -> None:
    page = render(speech_full)
    row = row_of(page, '<td>aa <span class="to">→</span> eh</td>')
    assert "<td>3</td><td>8.8 %</td>" in row
    assert "Most often &#x27;aa&#x27; is heard as &#x27;eh&#x27; (3 times)." in page
    assert "Of 881 phones 52 are heard as others and 91 not at all; heard where none is said: 8." in text_of(page)
    assert "<td>1</td><td></td>" in row_of(page, '<td>b <span class="to">→</span> m</td>')
    pairs = [(f"a{number}", "b", 2) for number in range(30)]
    assert render(replace(speech_full, confusions=pairs)).count('class="to"') == 20
    assert "is heard as &#x27;␣&#x27; (once)" in render(replace(speech_full, confusions=[("a", " ", 1)]))


def test_errors_in_transcripts_have_signs_and_words_beside_their_colour(speech_full: SpeechReport) -> None:
    page = render(speech_full)
    assert '<span class="cell"><span>n</span></span>' in page
    assert '<span class="cell substitute"><span>iy</span><span><span class="hide"> heard as </span>≠\u00a0ih</span></span>' in page
    assert '<span class="cell delete"><span>dh</span><span><span class="hide"> not heard </span>−</span></span>' in page
    assert '<span class="cell insert"><span>&nbsp;</span><span><span class="hide"> not said, heard </span>+\u00a0er</span></span>' in page
    assert page.index("Worst: SX350") < page.index("Neither.") < page.index("Best: SX28")
    assert "50 % errors" in text_of(page) and "0 % errors" in text_of(page)
    assert 'class="aligned close"' not in page
    characters = replace(
        speech_full, tokens="characters", transcripts=[{**speech_full.transcripts[0], "rows": [("equal", " ", " ")] * 450}]
    )
    page = render(characters)
    assert 'class="aligned close"' in page
    assert page.count('<span class="cell"><span>␣</span></span>') == 400
    assert "… and 50 more" in page


def test_hearing_is_on_one_axis_of_time(speech_full: SpeechReport) -> None:
    page = render(speech_full)
    for label in ("Spectrogram of SI723", "said: h# dh ax dh", "heard: h# dh ax dh", "Probabilities over time in SI723"):
        assert f'aria-label="{label}"' in page
    begin = page.index('aria-label="what is heard in SI723"')
    assert set(re.findall(r'class="plot[^"]*" style="padding-left:(\d+)px"', page[begin:])) == {"45"}
    assert '<image width="1000.0" height="130" preserveAspectRatio="none"' in drawn(page, "Spectrogram of SI723")
    heard = drawn(page, "heard: h# dh ax dh")
    assert re.findall(r'x="([\d.]+)%"[^>]*>([^<]+)</text>', heard) == [("20.5", "h#"), ("40.5", "dh"), ("60.5", "ax"), ("80.5", "dh")]
    peaks = drawn(page, "Probabilities over time in SI723")
    first = re.search(r'class="line post k1" d="([^"]*)"', peaks)
    assert first and "L205 11L" in first[1]  # step 20 of 100, its middle; 0.9 of 110 pixels
    assert "0.40 to 0.42 s  h#  90 %" in text_of(page)


def test_spans_are_only_where_they_are_known(speech_full: SpeechReport) -> None:
    page = render(speech_full)
    assert 'aria-label="said: n"' not in page and 'aria-label="heard: n"' in page
    edges = drawn(page, "said: h# dh ax dh").count('class="edge"')
    assert edges == 8
    assert 'class="edge"' not in drawn(page, "heard: h# dh ax dh")


def test_silent_utterance_is_drawn_too(speech_full: SpeechReport) -> None:
    page = render(replace(speech_full, hearings=[hearing("quiet", [])]))
    assert 'aria-label="heard: nothing"' in page
    assert "post k" not in drawn(page, "Probabilities over time in quiet")


def test_names_that_would_touch_are_below_each_other(speech_full: SpeechReport) -> None:
    def rows(begins: list[float], word: str) -> list[int]:
        tokens: list[Heard] = [{"token": word, "begin": begin, "end": begin + 0.02, "confidence": 1.0} for begin in begins]
        page = render(replace(speech_full, hearings=[{**hearing("t", []), "tokens": tokens}]))
        return [int(y) for y in re.findall(r'y="(\d+)" text-anchor="\w+">\w', drawn(page, "heard"))]

    assert rows([0.5, 1.0, 1.5], "aa") == [12, 12, 12]
    assert rows([1.0, 1.02, 1.04, 1.06], "aa") == [12, 27, 42, 12]
    assert rows([0.4, 0.7, 1.1], "seventeen") == [12, 27, 12]
    assert rows([0.8, 1.0, 1.2, 1.4], "aa") == [12, 12, 12, 12]
    assert rows([0.8, 1.0, 1.2, 1.4], "字字") == [12, 27, 12, 27]


def test_neighbours_have_different_colours() -> None:
    tokens: list[Heard] = [{"token": name, "begin": 0.0, "end": 0.0, "confidence": None} for name in "abcabdefghijabkl"]
    colours = token_colours(tokens)
    assert set(colours) == set("abcdefghijkl")
    assert all(colours[one["token"]] != colours[other["token"]] for one, other in pairwise(tokens))
    assert set(colours.values()) == {f"k{number}" for number in range(1, 9)}


def test_picture_is_a_png_that_holds_its_points() -> None:
    rows = [bytes([0, 1, 2]), bytes([2, 1, 0])]
    picture = png(rows, [(0, 0, 0, 255), (10, 20, 30, 128), (255, 255, 255, 0)])
    assert points_of(picture) == rows
    assert base64.b64decode(embedded(picture).removeprefix("data:image/png;base64,")) == picture


@given(st.integers(1, 30), st.integers(1, 30), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=20)
def test_picture_holds_any_points(width: int, height: int, random: Random) -> None:
    rows = [bytes(random.randrange(256) for _ in range(width)) for _ in range(height)]
    assert points_of(png(rows, ramp())) == rows


def test_picture_that_cannot_be_is_refused() -> None:
    for rows in ([], [b""], [b"\0", b"\0\0"]):
        with pytest.raises(ValueError, match="expected rows of one length"):
            png(rows, ramp())
    with pytest.raises(ValueError, match="2 colours, expected"):
        png([b"\x02"], ramp(2))


def test_ramp_grows_lighter_evenly() -> None:
    light = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue, _ in ramp()]
    steps = [after - before for before, after in pairwise(light)]
    assert min(steps) > -0.6, "rounding of a colour"
    assert light[-1] - light[0] > 200
    assert len(ramp()) == 256


def test_spectrogram_has_time_to_the_right_and_high_bands_at_the_top() -> None:
    levels = levels_of([[0.0, 1.0, 2.0], [3.0, 4.0, 10.0]])
    assert [len(row) for row in levels] == [2, 2, 2]
    assert levels[2][0] == 0 and levels[0][1] == 255
    assert levels[0][0] > levels[1][0] >= levels[2][0]
    assert levels_of([]) == [] and levels_of([[None, float("nan")]]) == []
    assert levels_of([[1.0, None]]) == [b"\0", b"\0"]
    assert mel(700.0) == pytest.approx(781.177, abs=1e-3)  # 1127 ln 2
