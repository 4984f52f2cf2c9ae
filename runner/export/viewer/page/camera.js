// Vectors, cameras and the one view that is moved. World: as in cameras.json and the PLY (OpenCV: y down, z ahead).

const add = (a, b) => a.map((v, i) => v + b[i]), sub = (a, b) => a.map((v, i) => v - b[i]), mul = (a, s) => a.map(v => v * s);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2], unit = a => mul(a, 1 / (Math.hypot(...a) || 1));
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const mix = (a, b, share) => add(mul(a, 1 - share), mul(b, share));
function rotate(v, axis, angle) {
  const c = Math.cos(angle), s = Math.sin(angle);
  return add(add(mul(v, c), mul(cross(axis, v), s)), mul(axis, dot(axis, v) * (1 - c)));
}

// As filmed: centre, axes, and how wide and high the picture is at distance 1.
function filmed(camera) {
  const m = camera.world_to_camera, rows = m.slice(0, 3).map(row => row.slice(0, 3)), t = m.slice(0, 3).map(row => row[3]);
  const eye = [0, 1, 2].map(i => -(rows[0][i] * t[0] + rows[1][i] * t[1] + rows[2][i] * t[2]));
  return { ...camera, rows, eye, forward: rows[2], down: rows[1], tan: [camera.width / camera.fx, camera.height / camera.fy] };
}

class View {
  #changed = false;

  // wake: called when the view changes, so that the next picture is drawn.
  constructor(scene, wake) {
    this.wake = wake;
    this.cameras = scene.cameras.map(filmed);
    this.first = scene.first;
    this.focus = scene.focus;
    this.known = Boolean(scene.up); // whether up is known; else it is the mean upper side of the cameras
    this.up = scene.up || unit(this.cameras.reduce((sum, camera) => sub(sum, camera.down), [0, 0, 0]));
    this.reach = Math.max(...this.cameras.map(camera => Math.hypot(...sub(camera.eye, scene.focus))), 1e-3);
    this.place = this.first; // along the path: the number of a camera, and what lies between two
    this.tan = this.cameras[this.first].tan;
    Object.assign(this, this.from(this.cameras[this.first]));
    this.glide = null;
    this.changed = true;
  }

  get changed() { return this.#changed; }

  set changed(yes) {
    this.#changed = yes;
    if (yes) this.wake();
  }

  // Eye, target and the picture's upper side of a camera. The hand's roll is no part of the scene.
  from(camera) {
    const level = this.known && Math.abs(dot(camera.forward, this.up)) < .95;
    const depth = Math.max(.02 * this.reach, dot(sub(this.focus, camera.eye), camera.forward));
    return { eye: camera.eye.slice(), target: add(camera.eye, mul(camera.forward, depth)), tall: level ? this.up.slice() : mul(camera.down, -1) };
  }

  // Between two cameras of one clip; from clip to clip it is cut, as nobody walked there.
  along(place) {
    const last = this.cameras.length - 1, i = Math.min(Math.floor(place), last), a = this.cameras[i], b = this.cameras[Math.min(i + 1, last)];
    if (a.clip !== b.clip) return place - i < .5 ? a : b;
    const share = place - i, blend = name => mix(a[name], b[name], share);
    return { eye: blend("eye"), forward: unit(blend("forward")), down: unit(blend("down")) };
  }

  to(pose, duration = 0) {
    this.glide = duration > 0 ? { from: { eye: this.eye, target: this.target, tall: this.tall, tan: this.tan }, to: { tan: this.tan, ...pose }, duration, since: null } : null;
    if (!this.glide) Object.assign(this, pose);
    this.changed = true;
  }

  toCamera(index, duration) {
    this.place = (index + this.cameras.length) % this.cameras.length;
    this.to({ ...this.from(this.cameras[this.place]), tan: this.cameras[this.place].tan }, duration);
  }

  toPlace(place) { // the field of view stays
    this.place = place;
    this.to(this.from(this.along(place)));
  }

  step(time) {
    if (!this.glide) return;
    const { from, to, duration } = this.glide;
    this.glide.since ??= time;
    const share = Math.min(1, (time - this.glide.since) / duration), soft = share * share * (3 - 2 * share);
    for (const name of ["eye", "target", "tall", "tan"]) this[name] = mix(from[name], to[name], soft);
    if (share === 1) this.glide = null;
    this.changed = true;
  }

  get axes() {
    const forward = unit(sub(this.target, this.eye)), right = unit(cross(forward, this.tall));
    return [right, cross(forward, right), forward];
  }

  // What the drawing needs for a picture of this size: all that was filmed is in it, in both directions.
  seen(width, height) {
    const focal = Math.min(width / this.tan[0], height / this.tan[1]);
    return { rows: this.axes, eye: this.eye, focal: [focal, focal], centre: [width / 2, height / 2] };
  }

  orbit(dx, dy) {
    this.glide = null;
    const [right] = this.axes, turned = mul(this.up, 1);
    let arm = rotate(sub(this.eye, this.target), turned, -dx);
    this.tall = rotate(this.tall, turned, -dx);
    const side = rotate(right, turned, -dx), steep = rotate(arm, side, -dy);
    if (Math.abs(dot(unit(steep), this.up)) < .99) { arm = steep; this.tall = rotate(this.tall, side, -dy); }
    this.eye = add(this.target, arm);
    this.changed = true;
  }

  // In units of the world, along the picture's right, its down and ahead.
  move(right, down, ahead) {
    this.glide = null;
    const [x, y, z] = this.axes, step = add(add(mul(x, right), mul(y, down)), mul(z, ahead));
    this.eye = add(this.eye, step);
    this.target = add(this.target, step);
    this.changed = true;
  }

  pan(dx, dy, height) { // in shares of the picture's height
    const size = Math.hypot(...sub(this.target, this.eye)) * height / this.seen(height, height).focal[0];
    this.move(-dx * size, -dy * size, 0);
  }

  zoom(factor) {
    this.glide = null;
    const arm = mul(sub(this.eye, this.target), factor);
    if (Math.hypot(...arm) < 1e-4 * this.reach || Math.hypot(...arm) > 1e3 * this.reach) return;
    this.eye = add(this.target, arm);
    this.changed = true;
  }

  // The view as a link's text, and back; null when the text is none.
  get text() {
    return [...this.eye, ...this.target, ...this.tall, ...this.tan].map(value => Number(value.toPrecision(7))).join(",");
  }

  static read(text) {
    const v = text.split(",").map(Number);
    if (v.length !== 11 || !v.every(Number.isFinite) || v[9] <= 0 || v[10] <= 0) return null;
    const pose = { eye: v.slice(0, 3), target: v.slice(3, 6), tall: unit(v.slice(6, 9)), tan: v.slice(9) };
    const apart = Math.hypot(...sub(pose.target, pose.eye));
    return apart > 0 && Math.hypot(...cross(unit(sub(pose.target, pose.eye)), pose.tall)) > 1e-3 ? pose : null;
  }
}
