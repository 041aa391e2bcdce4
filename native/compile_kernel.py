"""Compiles the native kernel: python native/compile_kernel.py OUT [FLAG ...]."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NATIVE = Path(__file__).parent
FLAGS = [
    *("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno"),
    *("-fno-trapping-math", "-ffp-contract=fast", "-fno-exceptions", "-fno-rtti"),
]
# GCC's own header of AVX-512 reads a register that it calls undefined.
WARNINGS = ["-Wall", "-Wextra", "-Wno-psabi", "-Wno-uninitialized", "-Wno-maybe-uninitialized"]
BASELINE = {"baseline": (16, [])}
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"]
X86 = {
    "avx2": (32, ["-mavx2", "-mfma"]),
    "avx512": (64, AVX512),
    "avx512_bf16": (64, [*AVX512, "-mavx512bf16"]),
    "amx": (64, [*AVX512, "-mavx512bf16", "-mamx-tile", "-mamx-bf16"]),
}


def find_compiler() -> str | None:
    """The compiler's command: CXX, or the first that is there."""
    return os.environ.get("CXX") or next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)


def build(compiler: str, target: Path, extra: tuple[str, ...] = ()) -> None:
    """Compile and link. Raises RuntimeError with what the compiler said."""
    units = BASELINE | (X86 if platform.machine() in ("x86_64", "AMD64") else {})
    units = {name: unit for name, unit in units.items() if not unit[1] or knows(compiler, unit[1])}
    has = [f"-DTG_HAS_{name.upper()}" for name in units if name != "baseline"]
    with tempfile.TemporaryDirectory() as folder:
        jobs = [("unit.cpp", name, [f"-DTG_ISA={name}", f"-DTG_BYTES={size}", *flags]) for name, (size, flags) in units.items()]
        jobs += [("api.cpp", "api", has), ("session.cpp", "session", []), ("pool.cpp", "pool", [])]
        objects = [str(Path(folder) / f"{name}.o") for _, name, _ in jobs]

        def compile_one(job: tuple[str, str, list[str]], out: str) -> None:
            run([*compiler.split(), *FLAGS, *WARNINGS, *extra, *job[2], "-c", str(NATIVE / job[0]), "-o", out])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compile_one, jobs, objects))
        made = target.with_suffix(".new")
        run([*compiler.split(), "-shared", *extra, "-o", str(made), *objects, "-lm"])
        made.replace(target)


def knows(compiler: str, flags: list[str]) -> bool:
    """Whether the compiler has these instructions: an older one leaves out the newest."""
    command = [*compiler.split(), *flags, "-x", "c++", "-fsyntax-only", "-"]
    return subprocess.run(command, input="", capture_output=True, text=True, check=False).returncode == 0


def run(command: list[str]) -> None:
    """A command; RuntimeError with its output if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    build(find_compiler() or "c++", Path(sys.argv[1]), tuple(sys.argv[2:]))
