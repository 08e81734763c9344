import subprocess
import sys
import threading

from adbench.engine.process.lock import delete_dead_locks, unit_lock


def test_a_unit_is_ours_once(tmp_path):
    with unit_lock(tmp_path, "unit", wait=False) as mine, unit_lock(tmp_path, "unit", wait=False) as again:
        assert (mine, again) == (True, False)
    with unit_lock(tmp_path, "unit", wait=False) as mine:
        assert mine
    assert list(tmp_path.iterdir()) == [], "nothing is left"


def test_other_units_are_free(tmp_path):
    with unit_lock(tmp_path, "one", wait=False) as one, unit_lock(tmp_path, "other", wait=False) as other:
        assert one
        assert other


def test_waiting_ends_when_the_other_is_done(tmp_path):
    order = []

    def wait():
        with unit_lock(tmp_path, "unit", wait=True) as mine:
            order.append(("waiter", mine))

    thread = threading.Thread(target=wait)
    with unit_lock(tmp_path, "unit", wait=False):
        thread.start()
        thread.join(0.2)
        order.append(("owner", True))
    thread.join()
    assert order == [("owner", True), ("waiter", True)]


def test_the_dead_let_go(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from adbench.engine.process.lock import unit_lock\n"
        "with unit_lock(Path(sys.argv[1]), 'unit', wait=False) as mine:\n"
        "    print(mine, flush=True); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("True\n", -9)
    with unit_lock(tmp_path, "unit", wait=False) as mine:
        assert mine


def test_a_folder_that_cannot_be_locked_stops_nobody(tmp_path):
    (tmp_path / "file").write_text("")
    with unit_lock(tmp_path / "file", "unit", wait=False) as mine:
        assert mine


def test_claims_of_the_dead_are_swept_and_those_of_the_living_stay(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from adbench.engine.process.lock import unit_lock\n"
        "with unit_lock(Path(sys.argv[1]), 'dead', wait=False): os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    with unit_lock(tmp_path, "living", wait=False):
        assert delete_dead_locks(tmp_path) == 1
        assert [path.name for path in (tmp_path / ".claims").iterdir()] == ["living.lock"]
    assert list(tmp_path.iterdir()) == []
    assert delete_dead_locks(tmp_path) == 0
