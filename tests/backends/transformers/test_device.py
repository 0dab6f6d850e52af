"""Where transformers models run, without PyTorch being asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from respsel.backends.transformers import device as hf_device
from respsel.backends.transformers.device import choose_device, choose_dtype


@pytest.fixture(autouse=True)
def _asked_anew() -> None:
    choose_device.cache_clear()


def machine(monkeypatch: pytest.MonkeyPatch, folder: Path, cuda: str | None, driver: bool) -> None:
    """A Linux machine with or without a driver, and a PyTorch with or without CUDA."""
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text("raise ImportError('it must not be imported')")
    (folder / "torch" / "version.py").write_text(f"cuda: Optional[str] = {cuda!r}\n")
    (folder / "version").write_text("NVRM")
    # Other tests may have imported the real one, which would be found first.
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(hf_device, "_DRIVER", folder / ("version" if driver else "none"))
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("cuda", "driver", "expected"),
    [("13.0", True, "cuda"), ("13.0", False, "cpu"), (None, True, "cpu"), (None, False, "cpu")],
)
def test_auto_takes_what_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cuda: str | None, driver: bool, expected: str
) -> None:
    """CUDA takes both a driver and a PyTorch that was built for it."""
    machine(monkeypatch, tmp_path, cuda, driver)
    assert choose_device("auto") == expected


def test_hidden_devices_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty CUDA_VISIBLE_DEVICES means the CPU."""
    machine(monkeypatch, tmp_path, "13.0", True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose_device("auto") == "cpu"


def test_what_is_wanted_is_taken() -> None:
    """A device or dtype that the recipe names is not second-guessed; auto is half precision on CUDA
    alone.
    """
    assert choose_device("cuda:3") == "cuda:3"
    assert [choose_dtype("auto", device) for device in ("cuda:3", "mps", "cpu")] == [
        "bfloat16",
        "float32",
        "float32",
    ]
    assert choose_dtype("float16", "cpu") == "float16"
