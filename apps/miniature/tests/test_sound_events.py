"""What happens in a scene, at which exact times, and that the picture shows it then."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from moviegen_miniature.actors import ACTOR_NAMES
from moviegen_miniature.casting import combinations
from moviegen_miniature.render import render
from moviegen_miniature.scene import MOTIONS, Performer, Scene, Timing
from moviegen_miniature.sound.casting import APART, MARGIN, take_at
from moviegen_miniature.sound.events import BODY, SOUNDS, VOICE, collision_time, events, voices
from moviegen_miniature.sprites import Sprites

_FINE = 4_800.0  # times a second at which closed forms are looked at


def scenes(count: int, fps: tuple[float, ...] = (8.0,)) -> list[Scene]:
    return [
        take_at(index, split="train", seed=3, seconds=4.0, fps_choices=fps).scene for index in range(count)
    ]


def test_every_actor_has_a_body_and_a_voice_among_the_sounds() -> None:
    assert set(BODY) == set(VOICE) == set(ACTOR_NAMES)
    assert set(BODY.values()) | set(VOICE.values()) < set(SOUNDS)


def test_a_bounce_is_where_the_track_is_lowest_in_the_frame() -> None:
    seen = 0
    for scene in scenes(300):
        landings = [event.seconds for event in events(scene) if event.kind == "bounce"]
        assert bool(landings) == (scene.lead.motion == "bounces")
        if not landings:
            continue
        seen += 1
        fine = np.arange(round(scene.seconds * _FINE)) / _FINE
        y = scene.seen(scene.lead, fine)[:, 1]
        lowest = 1 + np.flatnonzero((y[1:-1] > y[:-2]) & (y[1:-1] >= y[2:]))
        inside = [time for time in landings if time > 0]
        np.testing.assert_allclose(fine[lowest], inside, atol=1.01 / _FINE)
        np.testing.assert_allclose(
            scene.seen(scene.lead, np.array(landings))[:, 1], scene.lead.y + scene.lead.travel / 2
        )
    assert seen > 10


def test_an_actor_moves_from_its_start_to_its_stop_and_at_no_other_time() -> None:
    seen = set()
    for scene in scenes(300):
        timing = scene.lead.timing
        if timing is None or scene.lead.motion in ("still", "bounces"):
            continue
        seen.add(scene.lead.motion)
        fine = np.arange(round(scene.seconds * _FINE)) / _FINE
        track = replace(scene, pan=0).seen(scene.lead, fine)
        moves = (np.diff(track, axis=0) != 0).any(1)
        found = {event.kind: event.seconds for event in events(scene) if event.actor == scene.lead.actor}
        assert found["start"] == timing.begin
        assert abs(fine[np.flatnonzero(moves)[0]] - found["start"]) <= 1 / _FINE
        end = found["collision"] if "collision" in found else found["stop"]
        assert abs(fine[np.flatnonzero(moves)[-1]] - end) <= 1 / _FINE
        between = moves[round(timing.begin * _FINE) + 1 : round(timing.end * _FINE) - 1]
        assert between.all()
    assert seen == set(MOTIONS) - {"still", "bounces"}


def test_a_push_is_a_contact_that_stops_one_and_starts_the_other() -> None:
    seen = 0
    for scene in scenes(400):
        meeting = collision_time(scene)
        if meeting is None:
            assert all(event.kind != "collision" for event in events(scene))
            continue
        seen += 1
        assert scene.second is not None
        assert [event.kind for event in events(scene)] == ["start", "collision", "stop"]
        assert (scene.second.actor, scene.second.motion, scene.setting) in combinations(False)
        fine = np.linspace(0, scene.seconds, 2_000)
        lead, second = scene.seen(scene.lead, fine), scene.seen(scene.second, fine)
        gap = np.abs(lead[:, 0] - second[:, 0]) - 0.8 * (lead[:, 2] + second[:, 2]) / 2
        assert gap.min() > -1e-9  # never closer than touching
        assert gap[fine < meeting].min() > 0
        at_meeting = [scene.seen(actor, np.array([meeting]))[0] for actor in (scene.lead, scene.second)]
        distance = abs(at_meeting[0][0] - at_meeting[1][0])
        assert distance == pytest.approx(0.4 * (at_meeting[0][2] + at_meeting[1][2]))
        feet = [place[1] + place[2] / 2 for place in at_meeting]
        assert feet[0] == pytest.approx(feet[1])
    assert seen > 10


def test_an_actor_is_in_the_picture_from_the_first_frame_after_it_appears(sprites: Sprites) -> None:
    lead = Performer("cow", "still", 0.5, 0.5, 0.5, timing=Timing(appears=1.3))
    for fps in (8.0, 12.0, 24.0):
        scene = Scene(lead, "sky", 0, frames=round(2 * fps), fps=fps)
        (event,) = events(scene)
        assert (event.seconds, event.kind, event.sound) == (1.3, "appearing", "chime")
        there = render(scene, sprites).alpha.reshape(scene.frames, -1).any(1)
        np.testing.assert_array_equal(there, np.arange(scene.frames) / fps >= 1.3)


def test_events_are_the_same_at_any_frame_rate() -> None:
    for slow, fast in zip(scenes(60, (8.0,)), scenes(60, (24.0,)), strict=True):
        assert (slow.fps, fast.fps, slow.seconds, fast.seconds) == (8, 24, 4, 4)
        for one, other in zip(events(slow), events(fast), strict=True):
            assert replace(one, x=0.0) == replace(other, x=0.0)
            # A pan takes from the first frame to the last, whose times depend on the rate.
            assert one.x == pytest.approx(other.x, abs=0.02)


def test_timed_events_keep_apart_and_away_from_the_ends() -> None:
    for scene in scenes(300):
        if scene.lead.timing is None:
            continue
        moments = [event.seconds for event in events(scene)]
        assert moments
        assert moments == sorted(moments)
        assert moments[0] >= MARGIN
        assert moments[-1] <= scene.seconds - MARGIN + 1e-9
        assert min(np.diff(moments), default=math.inf) >= APART - 1e-9


def test_a_scene_of_the_silent_stage_sounds_as_it_looks() -> None:
    bounces = Scene(Performer("bus", "bounces", 0.5, 0.5, 0.5, travel=0.3), "sky", 0, frames=16)
    assert [event.seconds for event in events(bounces)] == [0, 1]
    assert {event.sound for event in events(bounces)} == {"clang"}
    drives = Scene(Performer("bus", "right", 0.5, 0.5, 0.5, travel=0.4), "sky", 0, frames=16)
    assert not events(drives)
    (voice,) = voices(drives)
    assert (voice.sound, voice.begin, voice.end) == ("engine", 0, 2)
    assert not voices(bounces)


def test_where_an_event_is_heard_follows_the_actor() -> None:
    drives = Performer("bus", "right", 0.5, 0.5, 0.5, travel=0.4, timing=Timing(begin=0.5, end=1.5))
    start, stop = events(Scene(drives, "sky", 0, frames=16))
    assert (start.x, stop.x) == (pytest.approx(0.3), pytest.approx(0.7))
    for pan in (-1, 1):
        start, _ = events(Scene(drives, "sky", 0, pan=pan, frames=16))
        assert start.x == pytest.approx(0.3 - 0.2 * pan * (0.5 * 8 / 15 - 0.5))


def test_harder_landings_are_stronger() -> None:
    def strength(travel: float, period: float) -> float:
        timing = Timing(begin=0.5, period=period)
        lead = Performer("cow", "bounces", 0.5, 0.5, 0.5, travel=travel, timing=timing)
        return events(Scene(lead, "sky", 0, frames=16))[0].strength

    assert 0 < strength(0.2, 1.0) < strength(0.3, 1.0) < strength(0.3, 0.8) < 1


@pytest.mark.parametrize(
    ("timing", "message"),
    [
        ({"begin": -1.0}, "begin and appears must be finite and at least 0"),
        ({"appears": math.inf}, "begin and appears must be finite"),
        ({"begin": 1.0, "end": 1.0}, "end must come after begin"),
        ({"end": math.nan}, "end must come after begin"),
        ({"period": 0.0}, "period be finite and above 0"),
    ],
)
def test_impossible_timings_are_refused(timing: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Timing(**timing)


def test_a_way_needs_an_end() -> None:
    with pytest.raises(ValueError, match="its timing needs an end"):
        Performer("cow", "left", 0.5, 0.5, 0.5, travel=0.3, timing=Timing(begin=0.5))
