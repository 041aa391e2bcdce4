"""The report in a real browser, without a network: it renders, and the console stays silent."""

import html
import shutil
import subprocess
from pathlib import Path

import pytest

from tidegate.evaluate.report import ClassReport, ForecastReport, SpeechReport, render


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if found is None:
        pytest.skip("needs chromium: apt-get install chromium")
    return found


def open_page(browser: str, page: str, folder: Path) -> tuple[str, list[str]]:
    """The document after rendering, and what the console said."""
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    options += " --disable-component-update --disable-sync"
    offline = "--host-resolver-rules=MAP * ~NOTFOUND"
    command = [
        browser,
        *options.split(),
        offline,
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        file.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize(
    ("name", "sections"), [("full", 8), ("odd", 8), ("class_full", 8), ("class_odd", 8), ("speech_full", 7), ("speech_odd", 7)]
)
def test_page_renders_without_a_word_on_the_console(
    browser: str, tmp_path: Path, name: str, sections: int, request: pytest.FixtureRequest
) -> None:
    report: ForecastReport | ClassReport | SpeechReport = request.getfixturevalue(name)
    document, console = open_page(browser, render(report), tmp_path)
    assert console == []
    assert document.count("<section") == sections
    assert document.count("<footer>") == 1


MEASURE = """<!DOCTYPE html><style>iframe { border: 0; height: 900px; }</style>FRAMES<pre></pre><script>
onload = () => {
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, width = page.documentElement.clientWidth;
    const lines = [`${frame.title} scrolls ${page.documentElement.scrollWidth - width}`];
    for (const one of page.querySelectorAll("p, h1, h2, h3, dd, li, pre, figure, svg.chart, svg text")) {
      const box = one.getBoundingClientRect();
      if (!one.closest(".scroll, .r, details:not([open])") && box.width && (box.right > width + 1 || box.left < -1))
        lines.push(`${one.tagName} ${one.textContent.slice(0, 40)} ${Math.round(box.left)}..${Math.round(box.right)}`);
    }
    document.querySelector("pre").append(lines.join("\\n") + "\\n");
  }
}; </script>"""


def spilled(browser: str, pages: dict[str, str], folder: Path) -> list[str]:
    """By how many pixels each page is wider than a narrow, a middle and a wide window, and what juts out."""
    frames = [
        f'<iframe title="{name} {width}" style="width:{width}px" srcdoc="{html.escape(page)}"></iframe>'
        for name, page in pages.items()
        for width in (360, 740, 1100)
    ]
    document, _ = open_page(browser, MEASURE.replace("FRAMES", "".join(frames)), folder)
    return html.unescape(document[document.rindex("<pre>") + 5 : document.rindex("</pre>")]).splitlines()


def test_nothing_juts_out_of_a_window_of_any_width(
    browser: str, tmp_path: Path, full: ForecastReport, class_full: ClassReport, class_odd: ClassReport, request: pytest.FixtureRequest
) -> None:
    wide = render(class_full).replace("</main>", '<p style="width:900px">wide</p></main>')
    pages = {"forecast": render(full), "class": render(class_full), "odd": render(class_odd)}
    pages |= {name: render(request.getfixturevalue(name)) for name in ("speech_full", "speech_odd")} | {"wide": wide}
    found = spilled(browser, pages, tmp_path)
    for name in ("forecast", "class", "odd", "speech_full", "speech_odd"):
        for width in (360, 740, 1100):
            assert f"{name} {width} scrolls 0" == found.pop(0)
    assert not found[0].endswith(" 0") and found[1].startswith("P wide"), "a paragraph that is too wide would be seen"
    assert found[-1] == "wide 1100 scrolls 0"


def test_console_is_heard_and_the_policy_forbids_loading(browser: str, tmp_path: Path, full: ForecastReport) -> None:
    page = render(full).replace("</main>", '<script>document.title = "changed"</script><img src="https://example.org/x.png"></main>')
    document, console = open_page(browser, page, tmp_path)
    assert len(console) == 2
    assert "<title>changed" not in document
