"""The report in a real browser, without a network: it renders, and the console stays silent."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tidegate.evaluate.report import ReportData, render


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


@pytest.mark.parametrize("name", ["full", "odd"])
def test_page_renders_without_a_word_on_the_console(browser: str, tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    report: ReportData = request.getfixturevalue(name)
    document, console = open_page(browser, render(report), tmp_path)
    assert console == []
    assert document.count("<section") == 8
    assert document.count("<footer>") == 1


def test_console_is_heard_and_the_policy_forbids_loading(browser: str, tmp_path: Path, full: ReportData) -> None:
    page = render(full).replace("</main>", '<script>document.title = "changed"</script><img src="https://example.org/x.png"></main>')
    document, console = open_page(browser, page, tmp_path)
    assert len(console) == 2
    assert "<title>changed" not in document
