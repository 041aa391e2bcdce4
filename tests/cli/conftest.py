"""What tests of the command line share."""

from pathlib import Path

import pytest

from tests.cli.refusals import Refused, snapshot
from tidegate.cli import app


@pytest.fixture
def refused(here: Path, capfd: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail, '@' being the folder `here`; what it said, after a look that nothing in there has changed."""

    def run(*words: str) -> str:
        before = snapshot(here)
        capfd.readouterr()
        assert app.run([word.replace("@", str(here)) for word in words]) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith("error: ") and err.count("\n") <= 2 and "Traceback" not in err
        assert snapshot(here) == before
        return err

    return run
