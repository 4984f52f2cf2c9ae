// Fingers, mouse, keys and buttons. They change the view; the picture follows in main.js.

const GLIDE_MS = 350, STILL_PX = 5, WALK_PER_S = .35, WALK_KEYS = { w: [0, 0, 1], s: [0, 0, -1], a: [-1, 0, 0], d: [1, 0, 0], q: [0, 1, 0], e: [0, -1, 0] };
const FLIGHT_S = { per_view: .5, least: 10, most: 60 }, CALM_VIEW_S = 2;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const byId = id => document.getElementById(id);

let silence;
function say(text) {
  clearTimeout(silence);
  byId("said").textContent = text;
  if (text) silence = setTimeout(() => say(""), 4000);
}

class Flight {
  constructor(view) {
    this.view = view;
    this.on = false;
  }

  switch(on) {
    if (on === this.on) return;
    this.on = on;
    this.since = null;
    this.from = this.view.place;
    byId("walk").setAttribute("aria-pressed", on);
    byId("walk").querySelector("span").textContent = on ? "Stop" : "Fly";
    this.view.wake();
    if (on) say(calm.matches ? "One view of the camera path after another" : "Flying along the camera path");
    else say("Stopped");
  }

  // By the clock, so that a slow machine flies as far as a fast one.
  step(time) {
    if (!this.on) return;
    this.since ??= time;
    const n = this.view.cameras.length, seconds = (time - this.since) / 1000;
    const whole = Math.min(Math.max(n * FLIGHT_S.per_view, FLIGHT_S.least), FLIGHT_S.most);
    const place = (this.from + seconds * (calm.matches ? 1 / CALM_VIEW_S : n / whole)) % n;
    const next = calm.matches ? Math.floor(place) : Math.min(place, n - 1);
    if (next !== this.view.place) this.view.toPlace(next);
  }
}

class Controls {
  constructor(canvas, view, gaussians, measuring, actions) {
    Object.assign(this, { canvas, view, gaussians, measuring, actions });
    this.flight = new Flight(view);
    this.touches = new Map();
    this.held = new Set();
    this.fingers();
    this.keys();
    this.buttons();
    this.follow();
  }

  get glide() { return calm.matches ? 0 : GLIDE_MS; }

  jump(step) {
    this.flight.switch(false);
    const now = this.view.place, from = step > 0 ? Math.floor(now) : Math.ceil(now);
    this.view.toCamera(from + step, this.glide);
    say(`View ${this.view.place + 1} of ${this.view.cameras.length}`);
  }

  home() {
    this.flight.switch(false);
    this.view.toCamera(this.view.first, this.glide);
    say("The first view");
  }

  measure() {
    this.measuring.switch(!this.measuring.on);
    document.body.classList.toggle("measuring", this.measuring.on);
    byId("ruler").setAttribute("aria-pressed", this.measuring.on);
    say(this.measuring.on ? "Click on two points of the scene" : "");
    this.view.changed = true;
  }

  pointAt(e) {
    const { clientWidth, clientHeight } = this.canvas, box = this.canvas.getBoundingClientRect();
    return pointUnder(e.clientX - box.left, e.clientY - box.top, this.view.seen(clientWidth, clientHeight), this.gaussians);
  }

  clicked(e) {
    if (!this.measuring.on) return;
    const point = this.pointAt(e);
    if (!point) { say("There is nothing at this place"); return; }
    this.measuring.add(point);
    say(this.measuring.text || "And the second point");
    this.view.changed = true;
  }

  fingers() {
    const { canvas, view, touches } = this;
    let travelled = 0;
    canvas.addEventListener("pointerdown", e => {
      canvas.setPointerCapture(e.pointerId);
      if (!touches.size) travelled = 0;
      touches.set(e.pointerId, e);
      this.flight.switch(false);
    });
    canvas.addEventListener("pointerup", e => { touches.delete(e.pointerId); if (travelled < STILL_PX && e.button === 0) this.clicked(e); });
    canvas.addEventListener("pointercancel", e => touches.delete(e.pointerId));
    canvas.addEventListener("pointermove", e => {
      const old = touches.get(e.pointerId), height = canvas.clientHeight;
      if (!old) return;
      const dx = (e.clientX - old.clientX) / height, dy = (e.clientY - old.clientY) / height;
      travelled += Math.hypot(dx, dy) * height;
      touches.set(e.pointerId, e);
      if (touches.size === 2) {
        const other = [...touches.values()].find(touch => touch.pointerId !== e.pointerId);
        const gap = touch => Math.max(1, Math.hypot(touch.clientX - other.clientX, touch.clientY - other.clientY));
        view.zoom(gap(old) / gap(e));
        view.pan(dx / 2, dy / 2, height);
      } else if (e.buttons & 2 || e.shiftKey) view.pan(dx, dy, height);
      else view.orbit(dx * 4, dy * 4);
    });
    canvas.addEventListener("contextmenu", e => e.preventDefault());
    canvas.addEventListener("wheel", e => { e.preventDefault(); this.flight.switch(false); view.zoom(Math.exp(e.deltaY * .001)); }, { passive: false });
    canvas.addEventListener("dblclick", e => {
      const point = this.measuring.on ? null : this.pointAt(e);
      if (point) { view.to({ eye: view.eye, tall: view.tall, target: point }, this.glide); say("Turning around this point"); }
    });
  }

  keys() {
    const pressed = {
      ArrowLeft: () => this.jump(-1), ArrowRight: () => this.jump(1), " ": () => this.flight.switch(!this.flight.on),
      "+": () => this.view.zoom(.85), "-": () => this.view.zoom(1 / .85), "?": () => this.help(), h: () => this.home(), Home: () => this.home(),
      m: () => this.measure(), p: () => this.actions.points(), l: () => this.actions.link(), c: () => this.actions.photo(), f: () => this.fullScreen(),
      Escape: () => { this.flight.switch(false); if (this.measuring.on) this.measure(); },
    };
    addEventListener("keydown", e => {
      if (e.ctrlKey || e.metaKey || e.altKey || byId("keys").open) return;
      const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
      if (e.target.closest?.("button, input") && !/^[a-z?+]$/.test(key)) return; // Space and arrows are theirs
      if (key in WALK_KEYS) { this.held.add(key); this.faster = e.shiftKey; this.flight.switch(false); this.view.wake(); }
      else if (pressed[key] && !(e.repeat && /^[a-z? ]$/.test(key))) { e.preventDefault(); pressed[key](); }
    });
    addEventListener("keyup", e => this.held.delete(e.key.toLowerCase()));
    addEventListener("blur", () => this.held.clear());
  }

  help() {
    this.held.clear();
    byId("keys").showModal();
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen().catch(() => say("This browser gives no full screen here"));
  }

  buttons() {
    const does = {
      previous: () => this.jump(-1), next: () => this.jump(1), walk: () => this.flight.switch(!this.flight.on), home: () => this.home(),
      ruler: () => this.measure(), full: () => this.fullScreen(), help: () => this.help(), ...this.actions,
    };
    for (const [id, act] of Object.entries(does)) byId(id).addEventListener("click", act);
    byId("full").hidden = !document.fullscreenEnabled;
    const line = byId("timeline");
    line.max = this.view.cameras.length - 1;
    line.addEventListener("input", () => { this.flight.switch(false); this.view.toPlace(Number(line.value)); });
  }

  follow() {
    const line = byId("timeline"), { place, cameras } = this.view;
    if (document.activeElement !== line || this.flight.on) line.value = place;
    line.setAttribute("aria-valuetext", `view ${Math.round(place) + 1} of ${cameras.length}, clip ${cameras[Math.round(place)].clip + 1}`);
  }

  get moving() { return this.flight.on || this.held.size > 0 || this.view.glide !== null; }

  // Seconds since the last frame: walking by keys is by time as well.
  step(time, seconds) {
    this.flight.step(time);
    this.view.step(time);
    if (!this.held.size) return;
    const way = [...this.held].map(key => WALK_KEYS[key]).reduce(add, [0, 0, 0]);
    const length = WALK_PER_S * this.view.reach * seconds * (this.faster ? 3 : 1);
    this.view.move(...mul(unit(way), length));
  }
}
