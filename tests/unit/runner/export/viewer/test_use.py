"""What people do in the viewer: keys, buttons, links, measuring; also without eyes, without a mouse, without motion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import axe
from tests.browser import Page
from tests.unit.runner.export.viewer.opened import READY, landscape, made, needs_chromium, shown
from tests.unit.runner.export.viewer.two_balls import APART, two_balls

pytestmark = [needs_chromium, pytest.mark.slow]

CALM = "prefers-reduced-motion"
SAID = "document.getElementById('said').textContent"


def at_rest(page: Page, place: float) -> bool:
    """Whether the view is that of a camera, and no longer on its way."""
    return page.until(f"view.glide === null && view.place === {place}")


def pose(page: Page) -> list[float]:
    return [float(value) for value in page.value("view.text").split(",")]


def middle_of(page: Page, element: str) -> tuple[float, float]:
    box = page.value(f"JSON.stringify(document.getElementById('{element}').getBoundingClientRect())")
    found: dict[str, float] = json.loads(box)
    return found["x"] + found["width"] / 2, found["y"] + found["height"] / 2


def test_next_goes_on_from_the_view_that_is_shown_and_home_comes_back(chromium: Page, lobby: Path) -> None:
    shown(chromium, lobby)
    first, count = int(chromium.value("view.first")), len(landscape())
    start = pose(chromium)
    chromium.press("ArrowRight")
    assert at_rest(chromium, (first + 1) % count)
    assert chromium.value(SAID) == f"View {(first + 1) % count + 1} of {count}"
    chromium.click(*middle_of(chromium, "previous"))
    chromium.press("ArrowLeft")  # on its way, and on a button that has the focus: no arrow of ours
    assert at_rest(chromium, first)
    chromium.value("document.activeElement.blur(); view.orbit(.5, .1)")
    assert pose(chromium) != start
    chromium.press("h")
    assert at_rest(chromium, first)
    assert pose(chromium) == pytest.approx(start, abs=1e-5)


def test_space_presses_the_button_that_has_the_focus_and_flies_from_anywhere_else(chromium: Page, lobby: Path) -> None:
    shown(chromium, lobby)
    chromium.value("document.getElementById('points').focus()")
    chromium.press(" ")
    assert chromium.value("document.getElementById('points').getAttribute('aria-pressed')") == "true"
    assert chromium.value("controls.flight.on") is False
    chromium.value("canvas.focus()")
    chromium.press(" ")
    assert chromium.value("controls.flight.on") is True
    walk = "document.getElementById('walk')"
    assert chromium.value(f"[{walk}.textContent.trim(), {walk}.getAttribute('aria-pressed')].join()") == "Stop,true"
    assert chromium.value(SAID) == "Flying along the camera path"
    chromium.press("Escape")
    assert chromium.value(f"[{walk}.textContent.trim(), {walk}.getAttribute('aria-pressed')].join()") == "Fly,false"


def test_it_flies_by_the_clock_and_keeps_the_field_of_view(chromium: Page, lobby: Path) -> None:
    """A slow machine, with few frames in a second, is where a quick one is; between clips it is cut."""
    shown(chromium, lobby)
    flown = """(steps => { view.place = 0; view.tan = [1.1, .8]; controls.flight.on = false;
      controls.flight.switch(true);
      for (let k = 0; k <= steps; k++) controls.flight.step(1000 + 5000 * k / steps); controls.flight.on = false;
      return JSON.stringify([view.place, view.eye, view.tan]); })"""
    few, many = (json.loads(chromium.value(f"{flown}({steps})")) for steps in (3, 400))
    assert few[0] == many[0] == pytest.approx(5 * len(landscape()) / 10)  # all of it in ten seconds
    assert few[1] == many[1]
    assert few[2] == [1.1, 0.8]
    cut = "JSON.stringify([view.along(3.4), view.along(3.6)].map(each => view.cameras.indexOf(each)))"
    assert json.loads(chromium.value(cut)) == [3, 4]


def test_who_wants_no_motion_gets_one_view_after_the_other(chromium: Page, lobby: Path) -> None:
    shown(chromium, lobby)
    chromium.prefer(CALM, "reduce")
    before = int(chromium.value("view.place"))
    assert chromium.value("controls.jump(1), view.glide === null") is True  # there at once
    assert chromium.value("view.place") == (before + 1) % len(landscape())
    places = chromium.value("""(() => { view.place = 0; controls.flight.switch(true); const seen = new Set();
      for (let t = 0; t < 7900; t += 100) { controls.flight.step(t); seen.add(view.place); }
      controls.flight.switch(false); return [...seen].join(); })()""")
    assert places == "0,1,2,3"
    chromium.prefer(CALM, "no-preference")


def test_a_link_restores_the_view_and_one_that_is_none_harms_nothing(chromium: Page, lobby: Path) -> None:
    shown(chromium, lobby)
    chromium.value("view.orbit(.7, .2); view.zoom(.8)")
    wanted = pose(chromium)
    chromium.press("p")
    chromium.press("l")
    fragment = chromium.value("location.hash")[1:]
    assert fragment.startswith("view=")
    assert chromium.until(f"{SAID}.includes('link')")
    shown(chromium, lobby, fragment=fragment)
    assert pose(chromium) == pytest.approx(wanted, rel=1e-5)
    assert chromium.value("asPoints") is True
    for spoilt in ("view=1,2,3", "view=0,0,0,0,0,0,0,0,0,1,1", "view=a,b", f"{fragment[:-9]},1e999", "%E0%A4%A"):
        shown(chromium, lobby, fragment=spoilt)
        assert all(value == value and abs(value) < 1e6 for value in pose(chromium))
    assert not [entry for entry in chromium.log if "exception" in entry.lower()]


def test_what_is_under_the_mouse_is_found_turned_around_and_measured(chromium: Page, tmp_path: Path) -> None:
    """Two Gaussians a known way apart; no scale is known, and the page says so."""
    for metres, text in ((None, f"{APART:.2f} units of the scene"), (2.4, f"{2.4 * APART:.2f} m")):
        shown(chromium, made(tmp_path, two_balls(), metres_per_unit=metres))
        spots: list[Any] = json.loads(
            chromium.value("""JSON.stringify([0, 1].map(i => {
              const c = view.seen(canvas.clientWidth, canvas.clientHeight),
          p = sub([...gaussians.positions.slice(3 * i, 3 * i + 3)], c.eye), z = dot(c.rows[2], p);
          return [0, 1].map(k => c.focal[k] * dot(c.rows[k], p) / z + c.centre[k]); }))""")
        )
        chromium.press("m")
        for x, y in spots:
            chromium.click(x, y)
        label = "document.querySelector('#measure text').textContent"
        assert chromium.until(f"{label} === '{text}'", 10), (chromium.value(label), chromium.value(SAID))
        assert chromium.value(SAID) == text
        chromium.press("Escape")
        assert chromium.until("document.getElementById('measure').hasAttribute('hidden')")
        chromium.click(*spots[0], count=2)
        assert chromium.until("view.glide === null")
        assert chromium.value("Math.hypot(...sub(view.target, [...gaussians.positions.slice(0, 3)])) < .05")


def test_walking_is_by_the_clock_as_well(chromium: Page, lobby: Path) -> None:
    shown(chromium, lobby)
    walked = """(steps => { controls.home(); view.to(view.glide.to); const from = view.eye; controls.held.add('w');
      for (let k = 0; k < steps; k++) controls.step(0, 1 / steps); controls.held.clear();
      return Math.hypot(...sub(view.eye, from)) / view.reach; })"""
    assert chromium.value(f"{walked}(2)") == pytest.approx(0.35)
    assert chromium.value(f"{walked}(60)") == pytest.approx(0.35)


def test_the_timeline_goes_along_the_path_and_says_where_it_is(chromium: Page, lobby: Path) -> None:
    shown(chromium, lobby)
    line = "document.getElementById('timeline')"
    chromium.value(f"{line}.value = 4; {line}.dispatchEvent(new Event('input'))")
    assert chromium.until(f"{line}.getAttribute('aria-valuetext') === 'view 5 of 6, clip 2'")
    assert chromium.value("view.place") == 4


def test_a_person_with_a_screen_reader_or_a_keyboard_can_use_it(chromium: Page, lobby: Path) -> None:
    if not axe.PACKAGES.is_installed:
        pytest.skip("axe-core is not installed: python -m tests.axe install")
    for size in ((360, 740), (1280, 800)):
        shown(chromium, lobby, size=size)
        assert axe.findings(chromium) == {}
        wide = "document.documentElement.scrollWidth > innerWidth"
        assert not chromium.value(wide)
    chromium.press("?")
    assert chromium.until("document.getElementById('keys').open")
    assert axe.findings(chromium) == {}
    chromium.press("Escape")
    assert not chromium.value("document.getElementById('keys').open")
    chromium.value("canvas.blur(); document.body.focus()")
    chromium.press("Tab")
    names = []
    for _ in range(12):
        ring = chromium.value(
            "getComputedStyle(document.activeElement).outlineStyle + document.activeElement.matches(':focus-visible')"
        )
        assert ring == "solidtrue"
        names.append(chromium.value("document.activeElement.id"))
        chromium.press("Tab")
    assert names[:5] == ["view", "previous", "walk", "next", "timeline"]
    assert chromium.value(READY)
