// The point of the scene under a place of the picture, and the distance between two of them.

// x, y in pixels of a picture that the camera (as for Drawing.draw) sees. Where half the light is spent, as depth along
// the ray: [3], or null where there is nothing.
function pointUnder(x, y, { rows, eye, focal, centre }, { count, shapes }) {
  const hits = [];
  for (let i = 0; i < count; i++) {
    const s = i * 12, p = [shapes[s] - eye[0], shapes[s + 1] - eye[1], shapes[s + 2] - eye[2]], z = dot(rows[2], p);
    if (z < .01 || shapes[s + 3] <= 1 / 255) continue;
    const u = dot(rows[0], p) / z, v = dot(rows[1], p) / z;
    const dx = x - focal[0] * u - centre[0], dy = y - focal[1] * v - centre[1];
    const spread = shapes[s + 4] + shapes[s + 7] + shapes[s + 9], far = 3.4 * (Math.sqrt(spread) * focal[0] / z * (1 + Math.abs(u) + Math.abs(v)) + 1);
    if (dx * dx + dy * dy > far * far) continue;
    const [xx, xy, xz, yy, yz, zz] = [4, 5, 6, 7, 8, 9].map(k => shapes[s + k]);
    const through = r => [xx * r[0] + xy * r[1] + xz * r[2], xy * r[0] + yy * r[1] + yz * r[2], xz * r[0] + yz * r[1] + zz * r[2]];
    const across = mul(sub(rows[0], mul(rows[2], u)), focal[0] / z), down = mul(sub(rows[1], mul(rows[2], v)), focal[1] / z);
    const A = dot(across, through(across)) + .3, B = dot(across, through(down)), C = dot(down, through(down)) + .3;
    const alpha = shapes[s + 3] * Math.exp(-.5 * (C * dx * dx - 2 * B * dx * dy + A * dy * dy) / (A * C - B * B));
    if (alpha > 1 / 255) hits.push([z, alpha]);
  }
  hits.sort((a, b) => a[0] - b[0]);
  let left = 1;
  for (const [z, alpha] of hits) {
    left *= 1 - alpha;
    if (left > .5) continue;
    const ray = add(rows[2], add(mul(rows[0], (x - centre[0]) / focal[0]), mul(rows[1], (y - centre[1]) / focal[1])));
    return add(eye, mul(ray, z));
  }
  return null;
}

class Measuring {
  constructor(root, metres) {
    this.ends = [...root.querySelectorAll("circle")];
    this.line = root.querySelector("line");
    this.label = root.querySelector("text");
    this.root = root;
    this.metres = metres; // in one unit of the scene; null: unknown
    this.on = false;
    this.points = [];
  }

  switch(on) {
    this.on = on;
    this.points = [];
  }

  add(point) {
    if (this.points.length === 2) this.points = [];
    this.points.push(point);
  }

  get text() {
    if (this.points.length < 2) return "";
    const units = Math.hypot(...sub(this.points[0], this.points[1]));
    return this.metres ? `${(units * this.metres).toPrecision(3)} m` : `${units.toPrecision(3)} units of the scene`;
  }

  draw({ rows, eye, focal, centre }) {
    this.root.toggleAttribute("hidden", !this.points.length);
    const spots = this.points.map(point => {
      const p = sub(point, eye), z = dot(rows[2], p);
      return z > 0 ? [focal[0] * dot(rows[0], p) / z + centre[0], focal[1] * dot(rows[1], p) / z + centre[1]] : null;
    });
    const set = (element, values) => Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value));
    this.ends.forEach((end, i) => { end.toggleAttribute("hidden", !spots[i]); if (spots[i]) set(end, { cx: spots[i][0], cy: spots[i][1] }); });
    const both = spots.length === 2 && spots[0] && spots[1];
    for (const element of [this.line, this.label]) element.toggleAttribute("hidden", !both);
    if (!both) return;
    const [[x1, y1], [x2, y2]] = spots;
    set(this.line, { x1, y1, x2, y2 });
    set(this.label, { x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 8 });
    this.label.textContent = this.text;
  }
}
