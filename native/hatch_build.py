"""Builds the native kernel into the package. Without a compiler, or where it fails, the package is made without: it then runs on torch."""

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface  # pyright: ignore[reportMissingImports]

sys.path.insert(0, str(Path(__file__).parent))
from compile_kernel import build, find_compiler


class NativeBuildHook(BuildHookInterface):
    """Compiles the sources, once for each instruction set, and adds the library to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel, also an editable one, is put together."""
        target = Path(self.root) / "src" / "tidegate" / "nn" / "libtidegate_lstm.so"
        compiler = find_compiler()
        try:
            if compiler is None:
                raise RuntimeError("no C++ compiler was found (c++, g++ or clang++; CXX names another)")
            build(compiler, target)
        except (RuntimeError, OSError) as error:
            target.unlink(missing_ok=True)
            self.app.display_warning(f"The native LSTM kernel was not built, torch's own is used instead: {error}")
            if os.environ.get("TIDEGATE_NATIVE") == "required":
                raise
            return
        build_data["artifacts"].append(str(target.relative_to(self.root)))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
