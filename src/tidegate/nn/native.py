"""The native kernel: found, loaded, described to Python. Without it everything runs on torch.nn.LSTM.

The library is plain C (native/tidegate_lstm.h), so one build serves every Python and every torch. It takes its threads from torch's own
pool: a second pool beside it would fight with the first for the processors.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from ctypes import POINTER, Structure, c_char_p, c_int32, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

ABI = 2
FILE = Path(__file__).with_name("libtidegate_lstm.so")
ISA_VARIABLE = "TIDEGATE_LSTM"
"""Environment: 'torch' turns the kernel off; 'amx', 'avx512_bf16', 'avx512', 'avx2' or 'baseline' choose its instruction set."""

DTYPES = {torch.float32: 0, torch.float64: 1}
BFLOAT16 = 2
"""The kernel's number for float32 tensors whose products are of bfloat16."""


@dataclass(frozen=True)
class Backend:
    """What computes LSTM layers on the CPU: name 'native' or 'torch'; detail: the instruction set, or why the kernel is not in use."""

    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name} ({self.detail})"


class Strides(Structure):
    """Elements from one time step, and from one sequence, to the next."""

    _fields_ = (("time", c_int64), ("row", c_int64))


class Problem(Structure):
    """tg_problem."""

    _fields_ = (
        *((name, c_int64) for name in ("dtype", "directions", "batch", "steps", "inputs", "hidden", "threads")),
        ("lengths", c_void_p),
        ("packed", c_void_p),
        *((name, Strides) for name in ("x", "y", "dx", "dy")),
    )


class Library:
    """The functions of the library, typed."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))

        def function(name: str, result: type | None, *arguments: type) -> Callable[..., int]:
            found = getattr(library, name)
            found.restype, found.argtypes = result, list(arguments)
            return found

        problem, pointer = POINTER(Problem), c_void_p
        self.abi_version = function("tg_abi_version", c_int64)
        self.isa = function("tg_isa", c_char_p)
        self.has_bfloat16 = function("tg_has_bfloat16", c_int32)
        self.set_isa = function("tg_set_isa", c_int32, c_char_p)
        self.set_pool = function("tg_set_pool", None, pointer)
        self.reserve_size = function("tg_reserve_size", c_int64, problem)
        self.forward = function("tg_forward", c_int32, problem, *[pointer] * 8)
        self.backward = function("tg_backward", c_int32, problem, *[pointer] * 13)
        self.peak_loop = function("tg_peak_loop", c_int64, c_int64, c_int64)
        self.session_new = function("tg_session_new", pointer, *[c_int64] * 5, pointer)
        self.session_step = function("tg_session_step", c_int32, *[pointer] * 3)
        self.session_get = function("tg_session_get", None, *[pointer] * 3)
        self.session_set = function("tg_session_set", None, *[pointer] * 3)
        self.session_free = function("tg_session_free", None, pointer)


@cache
def _load() -> tuple[Library | None, str]:
    """The library, and why it is not there."""
    wanted = os.environ.get(ISA_VARIABLE, "")
    if wanted == "torch":
        return None, f"{ISA_VARIABLE}=torch"
    if not FILE.exists():
        return None, "the kernel was not built: the installation found no C++ compiler, or it failed"
    try:
        library = Library(FILE)
    except (OSError, AttributeError) as error:
        return None, f"{FILE.name} cannot be loaded: {error}"
    if library.abi_version() != ABI:
        return None, f"{FILE.name} is of another version; install again"
    if wanted and library.set_isa(wanted.encode()):
        return None, f"{ISA_VARIABLE}={wanted}, which this processor or build does not have"
    pool = _torch_pool()
    if pool:
        library.set_pool(pool)
    return library, ""


def _torch_pool() -> int | None:
    """Address of torch's own parallel loop, which is exported from torch 2.10 on."""
    try:
        function = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).torch_parallel_for
    except (OSError, AttributeError):
        return None
    return ctypes.cast(function, c_void_p).value


_LOADING = threading.Lock()


def library() -> Library | None:
    """The library; None where everything runs on torch.nn.LSTM."""
    with _LOADING:
        return _load()[0]


def backend() -> Backend:
    """What computes LSTM layers on the CPU, and with which instruction set, or why not the native kernel."""
    found = library()
    if found is None:
        return Backend("torch", _load()[1])
    name: bytes = found.isa()  # type: ignore[assignment]
    return Backend("native", name.decode())


def has_bfloat16() -> bool:
    """Whether the kernel multiplies bfloat16 faster than float32 on this processor, which must have the instructions (AMX, or AVX-512
    BF16 of AMD)."""
    found = library()
    return found is not None and bool(found.has_bfloat16())
