"""Lanes of a plan: what waits for what, how long it takes, and how a plan ends when a lane does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import moviegen_miniature.lanes as lanes
import pytest
from moviegen_miniature.lanes import Lanes, Step

PLANS = """
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from moviegen_miniature.lanes import Step


def note(folder, name, minutes):
    print(f"doing {name}", file=sys.stderr)
    with (folder / "done").open("a") as file:
        file.write(f"{name} {os.getpid()}\\n")
    return True


def slowly(folder, name, minutes):
    time.sleep(1.0)
    return note(folder, name, minutes)


def time_is_up(minutes):
    return False


def fail(folder, minutes):
    while not (folder / "waiting").exists():
        time.sleep(0.1)
    raise ValueError("this cannot be done")


def fail_late(minutes):
    time.sleep(2.0)
    raise ValueError("this cannot be done")


def crash(minutes):
    raise RuntimeError("a mistake")


def die(minutes):
    os.kill(os.getpid(), signal.SIGKILL)


def until_told(folder, minutes):
    (folder / "waiting").touch()
    try:
        time.sleep(600)
    finally:
        time.sleep(1.0)  # a second signal must not end this
        (folder / "saved").touch()
    return True


def step(folder, name, after=(), how=note):
    return Step(name, partial(how, folder, name), after=after)


def good(folder):
    return (
        [step(folder, "a", how=slowly), step(folder, "c", ("b",))],
        [step(folder, "b", ("a",)), step(folder, "d", ("c",))],
    )


def late(folder):
    return ([Step("a", time_is_up)], [step(folder, "b"), step(folder, "c", ("a",))])


def late_and_bad(folder):
    return ([Step("a", time_is_up)], [Step("b", fail_late)])


def bad(folder):
    return ([Step("a", partial(fail, folder))], [Step("b", partial(until_told, folder))])


def broken(folder):
    return ([Step("a", crash)], [step(folder, "b", ("a",))])


def killed(folder):
    return ([Step("a", die)], [step(folder, "b", ("a",))])


def endless(folder):
    return ([Step("a", partial(until_told, folder))], [step(folder, "b", ("a",))])
"""


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of plans that other processes can import as well."""
    (tmp_path / "plans_of_lanes.py").write_text(PLANS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(lanes, "cores", lambda: 2)
    sys.modules.pop("plans_of_lanes", None)
    return tmp_path


def run(name: str, folder: Path) -> bool:
    import plans_of_lanes  # type: ignore[import-not-found]

    return lanes.run_plan(partial(getattr(plans_of_lanes, name), folder), None)


def done(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "done").read_text().splitlines()]


def test_steps_wait_for_those_of_other_lanes(plans: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("good", plans)
    (a, first), (b, second), (c, third), (d, fourth) = done(plans)
    assert (a, b, c, d) == ("a", "b", "c", "d")
    assert first == third != second == fourth
    lines = capfd.readouterr().err.splitlines()
    assert {"a: begins", "a | doing a", "d | doing d"} <= set(lines)


def test_one_core_does_one_lane_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "cores", lambda: 1)
    monkeypatch.setattr("moviegen_runtime.training.process.prepare_process", lambda _: None)
    names: list[str] = []

    def step(name: str, after: tuple[str, ...] = ()) -> Step:
        return Step(name, lambda _: names.append(name) is None, after=after)

    plan: Lanes = ([step("a"), step("b")], [step("c", ("a",)), step("d", ("b",))])
    assert lanes.run_plan(lambda: plan, None)
    assert names == ["a", "b", "c", "d"]


def test_what_waits_ends_when_time_is_up_elsewhere(plans: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert not run("late", plans)
    assert [name for name, _ in done(plans)] == ["b"]
    assert "c: what it waits for is not complete" in capfd.readouterr().err


def test_a_failure_ends_all_lanes_and_is_told(plans: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="a part failed, as said above"):
        run("bad", plans)
    assert (plans / "saved").exists()
    assert "this cannot be done" in capfd.readouterr().err


def test_a_failure_counts_after_time_was_up_elsewhere(plans: Path) -> None:
    with pytest.raises(ValueError, match="a part failed"):
        run("late_and_bad", plans)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_lane_that_was_killed_is_told_of(plans: Path) -> None:
    with pytest.raises(ValueError, match="a part was ended by signal 9, perhaps for want of memory"):
        run("killed", plans)


def test_a_mistake_is_told_with_its_place(plans: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="a part failed"):
        run("broken", plans)
    assert "RuntimeError: a mistake" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("whole", [True, False], ids=["terminal", "parent"])
def test_an_interruption_reaches_every_lane_and_lets_it_clear_away(whole: bool, plans: Path) -> None:
    """SIGINT to all processes, as a terminal sends it, or SIGTERM to the one that began them."""
    code = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "import moviegen_miniature.lanes as lanes, plans_of_lanes as plans\n"
        "if __name__ == '__main__':\n"
        "    lanes.cores = lambda: 2\n"
        "    try: lanes.run_plan(partial(plans.endless, Path(sys.argv[1])), None)\n"
        "    except KeyboardInterrupt: sys.exit(130)\n"
    )
    (plans / "main.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": str(plans)}
    command = [sys.executable, plans / "main.py", plans]
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        deadline = time.monotonic() + 300
        while not (plans / "waiting").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        if whole:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        assert process.wait(timeout=300) == 130
    assert (plans / "saved").exists()


def test_the_duration_is_that_of_the_longest_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(name: str, work: float, after: tuple[str, ...] = ()) -> Step:
        return Step(name, lambda _: True, work, after)

    plan = (
        [step("a", 5.0), step("b", 4.0)],
        [step("c", 1.0), step("d", 2.0, ("a",)), step("e", 1.0, ("b",))],
    )
    monkeypatch.setattr(lanes, "cores", lambda: 2)
    assert lanes.duration(plan) == 10.0  # a, b, e
    monkeypatch.setattr(lanes, "cores", lambda: 1)
    assert lanes.duration(plan) == 13.0


def test_steps_that_wait_for_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(name: str, after: tuple[str, ...]) -> Step:
        return Step(name, lambda _: True, 1.0, after)

    monkeypatch.setattr(lanes, "cores", lambda: 2)
    for waits_for in ("b", "nothing"):
        with pytest.raises(ValueError, match="wait for each other"):
            lanes.duration(([step("a", (waits_for,))], [step("b", ("a",))]))
