// Depth order, far to near: a counting sort over 16 bits of what lies ahead, in a worker, so that the picture never
// waits for it.

// axis: [4], the forward direction of the camera and minus its distance along it. Indices of what is ahead.
function depthOrder(positions, axis) {
  const [x, y, z, w] = axis, n = positions.length / 3, depth = new Float32Array(n);
  let low = Infinity, high = -Infinity, ahead = 0;
  for (let i = 0; i < n; i++) {
    const d = depth[i] = x * positions[3 * i] + y * positions[3 * i + 1] + z * positions[3 * i + 2] + w;
    if (d <= 0) continue;
    ahead++;
    if (d < low) low = d;
    if (d > high) high = d;
  }
  const scale = 65535 / Math.max(high - low, 1e-9), key = new Uint16Array(n), starts = new Uint32Array(65537);
  for (let i = 0; i < n; i++) if (depth[i] > 0) { key[i] = 65535 - ((depth[i] - low) * scale | 0); starts[key[i] + 1]++; }
  for (let i = 0; i < 65536; i++) starts[i + 1] += starts[i];
  const result = new Uint32Array(ahead);
  for (let i = 0; i < n; i++) if (depth[i] > 0) result[starts[key[i]]++] = i;
  return result;
}

function answerWithOrder() {
  let positions;
  onmessage = event => {
    if (event.data.positions) { positions = event.data.positions; return; }
    const order = depthOrder(positions, event.data.axis);
    postMessage({ order }, [order.buffer]);
  };
}

class Sorting {
  constructor(positions, done) {
    const text = `${depthOrder}\n(${answerWithOrder})()`;
    this.worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    this.worker.postMessage({ positions });
    this.worker.onmessage = event => { this.busy = false; this.sorted = this.asked; done(event.data.order); };
    this.busy = false;
    this.sorted = null;
    this.asked = null;
  }

  get settled() { return this.sorted !== null && this.sorted === this.asked; }

  ask(axis) {
    if (this.busy || (this.asked && Math.hypot(...axis.map((v, i) => v - this.asked[i])) < 1e-4)) return;
    this.busy = true;
    this.asked = axis;
    this.worker.postMessage({ axis });
  }
}
