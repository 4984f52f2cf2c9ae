// The page: unpacks the scene, then draws it whenever the view or the order has changed.

const DENSEST = 2, SLOW_MS = 28, QUICK_MS = 14, COARSEST = .4, STILL_MS = 180; // see Sharpness
const scene = JSON.parse(byId("scene").textContent), canvas = byId("view");
let view, drawing, sorting, controls, measuring, gaussians, asPoints = false;

// Fewer pixels while the view moves and frames come late; all of them as soon as it stands still.
class Sharpness {
  constructor() {
    this.share = 1;
    this.moved = -Infinity;
    this.frames = 0;
  }

  saw(time, elapsed, moved) {
    if (!moved) return;
    if (time - this.moved < STILL_MS && ++this.frames > 2) {
      if (elapsed > SLOW_MS) this.share = Math.max(COARSEST, this.share * .85);
      else if (elapsed < QUICK_MS) this.share = Math.min(1, this.share * 1.05);
    } else if (time - this.moved >= STILL_MS) this.frames = 0;
    this.moved = time;
  }

  now(time) { return time - this.moved < STILL_MS ? this.share : 1; }
}
const sharpness = new Sharpness();

function fail(text) {
  byId("fail").textContent = text;
  document.body.classList.add("failed");
}

function picture(share) {
  const density = Math.min(devicePixelRatio || 1, DENSEST) * share;
  const width = Math.max(1, Math.round(canvas.clientWidth * density)), height = Math.max(1, Math.round(canvas.clientHeight * density));
  drawing.draw(view.seen(width, height), width, height, asPoints);
}

// One picture exactly as a camera filmed it, lens and size included, as base64 of its RGBA rows from the bottom up. For
// the comparison with the photographs.
function exactly(index) {
  const { rows, eye, fx, fy, cx, cy, width, height } = view.cameras[index], gl = drawing.gl;
  drawing.take(depthOrder(gaussians.positions, [...rows[2], -dot(rows[2], eye)]));
  drawing.draw({ rows, eye, focal: [fx, fy], centre: [cx, cy] }, width, height, false);
  const pixels = new Uint8Array(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  let text = "";
  for (let i = 0; i < pixels.length; i += 8192) text += String.fromCharCode(...pixels.subarray(i, i + 8192));
  return btoa(text);
}

const actions = {
  points() {
    asPoints = !asPoints;
    byId("points").setAttribute("aria-pressed", asPoints);
    say(asPoints ? "Points: the middle of every Gaussian" : "Splats");
    view.changed = true;
  },
  link() {
    location.hash = `view=${view.text}${asPoints ? "&points" : ""}`;
    const kept = () => say("The link to this view is in the address bar");
    if (navigator.clipboard) navigator.clipboard.writeText(location.href).then(() => say("The link to this view is copied"), kept);
    else kept();
  },
  photo() {
    picture(1); // toBlob takes what was drawn in this very task: no buffer is kept for it
    canvas.toBlob(blob => {
      const link = document.createElement("a"), url = URL.createObjectURL(blob);
      link.href = url;
      link.download = `${document.title}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
      say("The picture is saved");
    });
  },
};

function readLink() {
  const found = new URLSearchParams(location.hash.slice(1)), pose = View.read(found.get("view") || "");
  if (!pose) return;
  controls.flight.switch(false);
  view.to(pose);
  if (found.has("points") !== asPoints) actions.points();
}

// Frames are asked for while something moves, and when something has changed; a page that stands still costs nothing.
let last = 0, sharp = 0, awaited = false;
function wake() {
  if (awaited) return;
  awaited = true;
  requestAnimationFrame(tick);
}

function tick(time) {
  awaited = false;
  if (!sorting) return;
  const elapsed = time - last;
  last = time;
  controls.step(time, Math.min(elapsed, 200) / 1000);
  const moved = view.changed, forward = view.axes[2];
  sharpness.saw(time, elapsed, moved);
  sorting.ask([...forward, -dot(forward, view.eye)]);
  const share = sharpness.now(time);
  if (controls.moving || share < 1) wake();
  if (!moved && !sorting.fresh && share === sharp) return;
  view.changed = false;
  sorting.fresh = false;
  sharp = share;
  picture(share);
  measuring.draw(view.seen(canvas.clientWidth, canvas.clientHeight));
  if (moved) controls.follow();
  if (sorting.settled && drawing.order) { document.body.classList.add("drawn"); document.body.dataset.ready = "yes"; }
}

async function start() {
  byId("note").textContent = scene.note;
  byId("doubt").textContent = scene.doubt;
  if (!document.createElement("canvas").getContext("webgl2")) {
    fail("This browser offers no WebGL 2, which the viewer needs: the picture shows the scene from its first view. The .ply and .spz files beside this page open in any splat viewer.");
    return;
  }
  if (typeof DecompressionStream === "undefined") {
    fail("This browser cannot unpack the scene; browsers since 2023 can. The picture shows the scene from its first view.");
    return;
  }
  const bar = byId("progress"), told = (from, share) => done => { bar.value = from + share * done; };
  const packed = await bytesOf(byId("splats").textContent.trim(), told(0, .3));
  gaussians = await gaussiansOf(await unpacked(packed), told(.35, .65));
  view = new View(scene, wake);
  drawing = new Drawing(canvas, gaussians);
  measuring = new Measuring(byId("measure"), scene.metres);
  controls = new Controls(canvas, view, gaussians, measuring, actions);
  sorting = new Sorting(gaussians.positions, order => { drawing.take(order); sorting.fresh = true; wake(); });
  canvas.addEventListener("webglcontextlost", e => { e.preventDefault(); say("The graphics card is gone; waiting for it"); });
  canvas.addEventListener("webglcontextrestored", () => { drawing.build(); view.changed = true; say("The graphics card is back"); });
  addEventListener("resize", () => { view.changed = true; });
  addEventListener("hashchange", readLink);
  readLink();
  view.changed = true;
}
start().catch(error => fail(`The scene could not be shown: ${error.message}`));
