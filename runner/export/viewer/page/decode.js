// From base64 to the arrays that are drawn. Layout of the file: runner/export/spz.py (SPZ version 3).

const TEXELS = 2048; // width of the textures; TEXELS_MASK and TEXELS_SHIFT of the shaders belong to it
const PIECE = 1 << 15; // Gaussians between two looks at the progress bar
const COEFFICIENTS = [0, 3, 8, 15]; // of spherical harmonics beyond the first, per channel, by degree

const pause = () => new Promise(resume => setTimeout(resume));

async function bytesOf(base64, told) {
  const bytes = new Uint8Array(Math.floor(base64.length / 4) * 3), step = PIECE * 32; // a multiple of 4
  let end = 0;
  for (let start = 0; start < base64.length; start += step) {
    const text = atob(base64.slice(start, start + step));
    for (let i = 0; i < text.length; i++) bytes[end++] = text.charCodeAt(i);
    told(start / base64.length);
    await pause();
  }
  return bytes.subarray(0, end);
}

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The Gaussians in the world of the cameras: y down and z ahead, where SPZ has y up and z back.
//   positions [3 N]; shapes: three texels of floats each, x y z opacity | covariance xx xy xz yy | yz zz, 0, 0;
//   colours: three texels of 16 bytes each, the first coefficient of r g b and then the others, as in the file.
async function gaussiansOf(file, told) {
  const head = new DataView(file.buffer, file.byteOffset, 16);
  if (head.getUint32(0, true) !== 0x5053474e || head.getUint32(4, true) !== 3) throw new Error("no SPZ file of version 3");
  const count = head.getUint32(8, true), degree = file[12], unit = 1 / 2 ** file[13], own = 3 * COEFFICIENTS[degree];
  const at = [16, 9, 1, 3, 3, 4].map((bytes, i) => (i ? bytes * count : 16));
  for (let i = 1; i < at.length; i++) at[i] += at[i - 1];
  const [places, opacities, firsts, scales, turns, rests] = at;
  if (file.length !== rests + own * count) throw new Error("the SPZ file has another length than it says");
  const rows = Math.max(1, Math.ceil(count * 3 / TEXELS)), positions = new Float32Array(count * 3);
  const shapes = new Float32Array(TEXELS * rows * 4), colours = new Uint8Array(TEXELS * rows * 16).fill(128);
  const q = new Float32Array(4), s = new Float32Array(3);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < 3; k++) {
      const o = places + i * 9 + k * 3, fixed = ((file[o] << 8 | file[o + 1] << 16 | file[o + 2] << 24) >> 8) * unit;
      positions[i * 3 + k] = k ? -fixed : fixed;
      s[k] = Math.exp(file[scales + i * 3 + k] / 16 - 10);
    }
    const o = turns + i * 4, packed = (file[o] | file[o + 1] << 8 | file[o + 2] << 16 | file[o + 3] << 24) >>> 0;
    const largest = packed >>> 30; // of x y z w
    let rest = 1;
    for (let k = 3, shift = 0; k >= 0; k--) {
      if (k === largest) continue;
      const field = packed >>> shift;
      q[k] = (field & 511) / 511 * Math.SQRT1_2 * (field & 512 ? -1 : 1);
      rest -= q[k] * q[k];
      shift += 10;
    }
    q[largest] = Math.sqrt(Math.max(rest, 0));
    const a = q[0], b = -q[1], c = -q[2], w = q[3]; // half a turn around x
    const m = [ // rotation times scale, rows
      (1 - 2 * (b * b + c * c)) * s[0], 2 * (a * b - w * c) * s[1], 2 * (a * c + w * b) * s[2],
      2 * (a * b + w * c) * s[0], (1 - 2 * (a * a + c * c)) * s[1], 2 * (b * c - w * a) * s[2],
      2 * (a * c - w * b) * s[0], 2 * (b * c + w * a) * s[1], (1 - 2 * (a * a + b * b)) * s[2]];
    const t = i * 12, cov = (r, k) => m[3 * r] * m[3 * k] + m[3 * r + 1] * m[3 * k + 1] + m[3 * r + 2] * m[3 * k + 2];
    shapes[t] = positions[i * 3]; shapes[t + 1] = positions[i * 3 + 1]; shapes[t + 2] = positions[i * 3 + 2];
    shapes[t + 3] = file[opacities + i] / 255;
    shapes[t + 4] = cov(0, 0); shapes[t + 5] = cov(0, 1); shapes[t + 6] = cov(0, 2); shapes[t + 7] = cov(1, 1);
    shapes[t + 8] = cov(1, 2); shapes[t + 9] = cov(2, 2);
    for (let k = 0; k < 3; k++) colours[i * 48 + k] = file[firsts + i * 3 + k];
    for (let k = 0; k < own; k++) colours[i * 48 + 3 + k] = file[rests + i * own + k];
    if (i % PIECE === PIECE - 1) { told(i / count); await pause(); }
  }
  return { count, degree, positions, shapes, colours, rows };
}
