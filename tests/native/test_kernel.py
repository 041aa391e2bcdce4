"""The kernel by itself, from C: against the equations, and under AddressSanitizer, UndefinedBehaviorSanitizer and valgrind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.nn.native import FILE

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "native"
SANITISERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g", "-O1")
COMPILER = os.environ.get("CC") or shutil.which("cc")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(COMPILER is None or not NATIVE.is_dir(), reason="needs a C compiler and the sources")]


def build(folder: Path, flags: tuple[str, ...]) -> Path:
    """The library with these flags."""
    library = folder / "kernel.so"
    subprocess.run([sys.executable, str(NATIVE / "compile_kernel.py"), str(library), *flags], check=True)
    return library


def checks(folder: Path, library: Path, flags: tuple[str, ...]) -> list[Path]:
    """The programs that check a library in double and in single precision, and with products of bfloat16."""
    source = str(Path(__file__).with_name("check.c"))
    warnings = ("-std=c11", "-Wall", "-Wextra", "-Werror")
    programs = []
    for name, real in (("double", ["-DREAL=double"]), ("float", ["-DREAL=float"]), ("bfloat16", ["-DREAL=float", "-DBFLOAT16"])):
        programs.append(folder / f"check_{name}")
        command = [str(COMPILER), *warnings, *flags, *real, f"-I{NATIVE}", source, str(library), f"-Wl,-rpath,{library.parent}"]
        subprocess.run([*command, "-lm", "-o", str(programs[-1])], check=True)
    return programs


def test_no_access_beyond_what_was_given(tmp_path: Path) -> None:
    for program in checks(tmp_path, build(tmp_path, SANITISERS), SANITISERS):
        result = subprocess.run([str(program), "baseline", "avx2", "avx512", "avx512_bf16", "amx"], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
        assert not result.stdout and not result.stderr


def test_nothing_is_read_before_it_is_written(tmp_path: Path) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("needs valgrind: apt-get install valgrind")
    if not FILE.exists():
        pytest.skip("needs the native kernel")
    command = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]
    for program in checks(tmp_path, FILE, ("-g",)):  # the library that is in use
        result = subprocess.run([*command, str(program), "baseline"], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
