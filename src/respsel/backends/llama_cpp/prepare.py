"""Weights converted once to the type that this machine reads fastest, by llama.cpp's converter.

How weights are stored decides llama.cpp's speed: on an AVX512-BF16 processor a Q4_1 file reads 2.4
times faster as BF16. Knows nothing of models that are open. Invariant: the prepared file's name
holds the source's digest and the type, it appears whole or not at all, and both are part of the
model's identity.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from respsel.errors import PreflightError, Problem
from respsel.store.folder import make_own
from respsel.system.parts import part_for, remove_dead_parts

# LLAMA_FTYPE_* of llama.h.
_FILE_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 7, "bf16": 32}


def prepare_weights(source: Path, target: Path, kind: str) -> None:
    """Convert `source` to `target` unless it is there.

    Raises PreflightError if llama.cpp cannot.
    """
    if target.exists():
        return
    import llama_cpp

    make_own(target.parent)
    remove_dead_parts(target.parent)
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = _FILE_TYPES[kind]
    params.allow_requantize = True
    # Two processes may convert at once, and the rename of either is as good.
    with part_for(target) as part:
        code = llama_cpp.llama_model_quantize(
            str(source).encode(), str(part).encode(), ctypes.byref(params)
        )
        if code != 0:
            what = f"llama.cpp cannot convert this file to {kind} (code {code})"
            raise PreflightError(
                Problem(str(source), "", what, "Take 'prepare' out of the model entry")
            )
        os.replace(part, target)
