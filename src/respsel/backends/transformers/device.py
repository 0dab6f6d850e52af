"""Where a transformers model runs, found out without importing PyTorch, which takes seconds.

Keys hold the dtype, and "auto" is another one on CUDA. Knows nothing of models. Invariant: it
chooses what PyTorch would find.
"""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_DRIVER = Path("/proc/driver/nvidia/version")


@cache
def choose_device(wanted: str) -> str:
    """The device that is wanted; "auto" is cuda, mps or cpu, whichever this machine has."""
    if wanted != "auto":
        return wanted
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "mps"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    return "cuda" if _has_driver() and not hidden and _torch_has_cuda() else "cpu"


def choose_dtype(wanted: str, device: str) -> str:
    """The dtype that is wanted; for "auto" bfloat16 on CUDA, else float32."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if device.startswith("cuda") else "float32"


def _has_driver() -> bool:
    return _DRIVER.exists() or (
        platform.system() == "Windows" and Path(r"C:\Windows\System32\nvcuda.dll").exists()
    )


def _torch_has_cuda() -> bool:
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    said = Path(spec.origin).with_name("version.py")
    return (
        said.is_file()
        and re.search(r"^cuda\b.*=\s*['\"]", said.read_text("utf-8"), re.MULTILINE) is not None
    )
