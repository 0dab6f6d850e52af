"""gc of the store: what it frees, and what it keeps."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from respsel.hashing import digest
from respsel.store.gc import clean
from respsel.store.store import Store
from respsel.workspace.loading import load_recipe
from tests.conftest import RECIPE, Bench, jsonl, rows
from tests.promises.test_interruption import start

# Prepared weights are named by the digest of what they were made of.
A, B, C, D = (letter * 64 for letter in "abcd")


def test_gc_says_what_it_would_free_and_frees_it_when_told(bench: Bench) -> None:
    """A dry run changes nothing; --yes frees what only older runs need; the latest run
    stays whole.
    """
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    dry = bench.respsel("cache", "gc").out
    assert "keeps what the latest run of a.toml needs" in dry
    assert "Would free" in dry
    assert "18 call" in dry
    assert bench.respsel("cache", "gc").out == dry
    assert "Freed" in bench.respsel("cache", "gc", "--yes").out
    assert "Would free 0 B: no record." in bench.respsel("cache", "gc").out
    done = bench.run()
    assert (done["steps_run"], done["calls_made"]) == (0, 0)
    bench.edit("sample = 6", "sample = 8")
    assert bench.run()["calls_made"] == 2 * 7


def test_gc_keeps_what_every_recipe_needs_and_what_an_unfinished_run_has_made(bench: Bench) -> None:
    """Two recipes share a store; and calls newer than the latest finished run are kept."""
    bench.run()
    shutil.copy(bench.recipe, bench.folder / "b.toml")
    bench.edit("Solve:", "Solve this:")
    bench.run()
    assert bench.respsel("run", "b.toml").code == 0
    bench.edit("Solve this:", "Fail:")
    bench.edit('prompt = "Fail: {{ input }}"', 'prompt = "Fail: {{ input }}"\nif_wrong = "fail"')
    assert bench.respsel("run", "a.toml").code == 1
    assert "Would free 0 B" in bench.respsel("cache", "gc").out
    (bench.folder / "b.toml").unlink()
    assert (
        "b.toml is gone: what only its latest run needs is not kept"
        in bench.respsel("cache", "gc", "--yes").out
    )
    bench.edit('\nif_wrong = "fail"', "")
    done = bench.run()
    # The six responses of the failed run are there; only their scores are made.
    assert done["calls_made"] == 12


def test_gc_without_any_finished_run_frees_nothing(bench: Bench) -> None:
    """A store whose runs were all interrupted is not thrown away."""
    bench.edit('prompt = "Solve: {{ input }}"', 'prompt = "Solve: {{ input }}"\nif_wrong = "fail"')
    assert bench.respsel("run", "a.toml").code == 1
    assert "Freed 0 B: no record." in bench.respsel("cache", "gc", "--yes").out
    bench.edit('\nif_wrong = "fail"', "")
    assert bench.run()["calls_reused"] >= 18


def test_gc_keeps_what_a_killed_run_has_made(bench: Bench) -> None:
    """A run of one recipe that was killed, then a finished one of another: the killed run's calls
    are kept.
    """
    shutil.copy(bench.recipe, bench.folder / "b.toml")
    bench.edit("Solve:", "Other:")
    killed = start(bench, "if count == 15: os.kill(os.getpid(), signal.SIGKILL)")
    killed.communicate(timeout=60)
    assert bench.respsel("run", "b.toml").code == 0
    assert bench.respsel("cache", "gc", "--yes").code == 0
    done = bench.run()
    # Its six responses are there still; own outputs and the human's scores it shares with b.toml.
    assert (done["calls_reused"], done["calls_made"]) == (6, 12)


def test_gc_after_moving_the_workspace_frees_nothing_that_is_needed(bench: Bench) -> None:
    """Recipes are known by their place in the workspace, so a moved folder keeps all, and its
    history.
    """
    bench.run()
    there = Bench(bench.folder.with_name("moved"))
    shutil.copytree(bench.folder, there.folder)
    shutil.rmtree(bench.folder)
    assert "Would free 0 B" in there.respsel("cache", "gc").out
    there.edit("Solve:", "Solve this:")
    assert "prompt changed" in there.respsel("explain", "a.toml").out


def test_gc_refuses_after_damage(bench: Bench) -> None:
    """Where a note or step is damaged it is not known what is needed, so nothing is freed."""
    bench.run()
    for kind in ("run", "step"):
        with sqlite3.connect(bench.folder / "cache/cache.db") as db:
            db.execute(f"UPDATE Cache SET value = zeroblob(99) WHERE key LIKE '{kind}/%'")
        db.close()
        done = bench.respsel("cache", "gc", "--yes")
        assert done.code == 4
        assert "it is not known what is needed" in done.err
    assert bench.run()["calls_made"] == 0


def test_weights_that_are_folders_are_counted_and_freed_like_files(bench: Bench) -> None:
    """Of prepared weights, files and folders, those go that no latest run uses and that are older
    than it.
    """
    weights = bench.folder / "cache/weights"
    for name, size in ((f"{A}.bf16.gguf", 1), (f"{B}.float32.safetensors/model.safetensors", 2)):
        bench.write(f"cache/weights/{name}", bytes(size << 20))
    bench.run()
    for name in (
        f"{C}.float32.safetensors/model.safetensors",
        f"{D}.float32.safetensors.7.part/model.safetensors",
    ):
        bench.write(f"cache/weights/{name}", bytes(3 << 20))
    assert "weights              4    9.0 MiB" in bench.respsel("cache", "size").out
    assert "Would free 3.0 MiB: no record and 2 files." in bench.respsel("cache", "gc").out
    bench.respsel("cache", "gc", "--yes")
    assert sorted(path.name for path in weights.iterdir()) == [
        f"{C}.float32.safetensors",
        f"{D}.float32.safetensors.7.part",
    ]


def test_weights_that_a_latest_run_uses_are_kept(bench: Bench) -> None:
    """However old, a file or a folder that a latest run names stays."""
    names = [f"{A}.bf16.gguf", f"{B}.float32.safetensors"]
    bench.write(f"cache/weights/{A}.bf16.gguf", b"x")
    bench.write(f"cache/weights/{B}.float32.safetensors/model.safetensors", b"x")
    bench.run()
    with Store(bench.folder / "cache") as store:
        (key,) = [
            entry.key for entry in store.entries() if entry.key and entry.key.startswith("run/")
        ]
        store.save_json(key, {**store.load_json(key), "weights": names})
    assert "Freed 0 B: no record." in bench.respsel("cache", "gc", "--yes").out
    assert sorted(path.name for path in (bench.folder / "cache/weights").iterdir()) == names


def test_a_folder_of_weights_that_is_being_freed_is_no_weights(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill leaves of a folder has another name than weights have, and the next gc frees the
    rest.
    """
    bench.write(f"cache/weights/{B}.float32.safetensors/model.safetensors", b"x")
    bench.run()

    def killed(path: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with Store(bench.folder / "cache") as store, pytest.raises(KeyboardInterrupt):
        clean(store, bench.folder, True, lambda _: None)
    assert [path.name for path in (bench.folder / "cache/weights").iterdir()] == [
        f"{B}.float32.safetensors.freed"
    ]
    # Made once more, and then no longer needed either.
    bench.write(f"cache/weights/{B}.float32.safetensors/model.safetensors", b"x")
    os.utime(bench.folder / f"cache/weights/{B}.float32.safetensors", (1, 1))
    done = bench.respsel("cache", "gc", "--yes")
    assert "2 files" in done.out, done.err
    assert not list((bench.folder / "cache/weights").iterdir())


def two_workspaces(folder: Path) -> tuple[Bench, Bench]:
    """Workspaces with one store beside them, each with a recipe of the same name."""
    found = []
    for name, prompt in (("one", "Solve:"), ("two", "Work out:")):
        bench = Bench(folder / name)
        bench.write("respsel.toml", 'store = "../cache"\n')
        bench.write("a.toml", RECIPE.replace("Solve:", prompt))
        bench.write("sums.jsonl", jsonl(rows(12)))
        bench.run()
        found.append(bench)
    return found[0], found[1]


def test_gc_in_one_workspace_keeps_what_another_with_the_same_store_needs(tmp_path: Path) -> None:
    """Recipes of other workspaces are looked for where these are, named by the way there, and
    forgotten if they are gone.
    """
    one, two = two_workspaces(tmp_path)
    one.edit("samples = 2", "samples = 3")
    one.run()
    done = one.respsel("cache", "gc", "--yes").out
    assert "keeps what the latest run of a.toml needs\n" in done
    assert "keeps what the latest run of ../two/a.toml needs\n" in done
    assert "is gone" not in done
    assert "../two/a.toml: verdict:sums" in one.respsel("cache", "ls").out
    assert two.run()["steps_run"] == 0
    # Their places to each other tell which is which, so that all may be moved.
    shutil.copytree(tmp_path, moved := tmp_path.with_name(f"{tmp_path.name}-moved"))
    shutil.rmtree(tmp_path)
    assert "Would free 0 B" in Bench(moved / "two").respsel("cache", "gc").out
    (moved / "two/a.toml").unlink()
    done = Bench(moved / "one").respsel("cache", "gc").out
    assert "../two/a.toml is gone: what only its latest run needs is not kept" in done
    assert "Would free 0 B" not in done


def test_a_store_behind_a_link_is_the_workspaces_own(tmp_path: Path) -> None:
    """Its recipes are known by their places, and the workspace may be moved away from the store, as
    without the link.
    """
    bench = Bench(tmp_path / "ws")
    bench.write("a.toml", RECIPE)
    bench.write("sums.jsonl", jsonl(rows(12)))
    (tmp_path / "disk/cache").mkdir(parents=True)
    (bench.folder / "cache").symlink_to(tmp_path / "disk/cache")
    bench.run()
    assert load_recipe(bench.recipe).key == digest("recipe", "a.toml")
    bench.folder.rename(tmp_path / "moved")
    done = Bench(tmp_path / "moved").respsel("cache", "gc").out
    assert "keeps what the latest run of a.toml needs\n" in done
    assert "Would free 0 B" in done


def test_earlier_notes_are_of_the_workspace_that_asks(bench: Bench) -> None:
    """A note from before workspaces were told apart is looked for here, and written anew by the
    next run.
    """
    bench.run()
    with Store(bench.folder / "cache") as store:
        ((key, _),) = store.keys("run")
        note = store.load_json(key)
        assert (note["place"], note.pop("roots")) == ("a.toml", [".."])
        store.save_json(key, note)
    assert "keeps what the latest run of a.toml needs" in bench.respsel("cache", "gc", "--yes").out
    assert bench.run()["steps_run"] == 0
    with Store(bench.folder / "cache") as store:
        assert store.load_json(key)["roots"] == [".."]
