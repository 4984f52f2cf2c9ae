// GLSL. Arithmetic and limits are those of the rasteriser that trained and scored the scene (runner/raster/kernels).

const SHARED = `#version 300 es
precision highp float; precision highp int; precision highp sampler2D; precision highp usampler2D;
#define TEXELS_MASK 2047
#define TEXELS_SHIFT 11
ivec2 spot(int t) { return ivec2(t & TEXELS_MASK, t >> TEXELS_SHIFT); }
`;

// One fragment per Gaussian: its colour towards the eye. Once per place of the camera, not once per corner and frame.
const COLOUR_VERTEX = `${SHARED}
void main() { gl_Position = vec4(gl_VertexID == 1 ? 3. : -1., gl_VertexID == 2 ? 3. : -1., 0., 1.); }`;
const COLOUR_FRAGMENT = `${SHARED}
uniform sampler2D shapes; uniform usampler2D colours; uniform vec3 eye; uniform int degree, count;
out vec4 result;
uvec4 held[3];
float value(int n) { return float((held[n >> 4][(n >> 2) & 3] >> uint((n & 3) << 3)) & 255u); }
vec3 three(int n) { return vec3(value(n), value(n + 1), value(n + 2)); }
vec3 rest(int k) { return (three(3 * k) - 128.) / 128.; }
void main() {
  int i = int(gl_FragCoord.y) * (TEXELS_MASK + 1) + int(gl_FragCoord.x);
  if (i >= count) discard;
  for (int k = 0; k < 3; k++) held[k] = texelFetch(colours, spot(3 * i + k), 0);
  vec3 c = .5 + .28209479177387814 * (three(0) / 255. - .5) / .15;
  vec3 d = normalize(texelFetch(shapes, spot(3 * i), 0).xyz - eye);
  float x = d.x, y = -d.y, z = -d.z; // the coefficients are in the axes of SPZ
  if (degree > 0) c += .4886025119029199 * (-y * rest(1) + z * rest(2) - x * rest(3));
  float xx = x * x, yy = y * y, zz = z * z;
  if (degree > 1) c += 1.0925484305920792 * (x * y * rest(4) - y * z * rest(5) - x * z * rest(7))
    + .31539156525252005 * (2. * zz - xx - yy) * rest(6) + .5462742152960396 * (xx - yy) * rest(8);
  if (degree > 2) c += -.5900435899266435 * (y * (3. * xx - yy) * rest(9) + x * (xx - 3. * yy) * rest(15))
    + 2.890611442640554 * x * y * z * rest(10) - .4570457994644658 * (4. * zz - xx - yy) * (y * rest(11) + x * rest(13))
    + .3731763325901154 * z * (2. * zz - 3. * xx - 3. * yy) * rest(12) + 1.445305721320277 * z * (xx - yy) * rest(14);
  result = vec4(max(c, 0.) * .5, 1.); // halved: colours above 1 occur, and the texture ends there
}`;

const VERTEX = `${SHARED}
uniform sampler2D shapes, tints; uniform mat4 view; uniform vec2 focal, size, centre; uniform float speck;
in vec2 corner; in uint index; out vec2 offset; out vec4 colour;
void main() {
  int i = int(index);
  vec4 a = texelFetch(shapes, spot(3 * i), 0);
  vec3 p = (view * vec4(a.xyz, 1.)).xyz;
  gl_Position = vec4(0., 0., 2., 1.);
  if (p.z < .01 || a.w <= 1. / 255.) return;
  vec2 middle = focal * p.xy / p.z + centre, along = vec2(speck, 0.), across = vec2(0., speck);
  offset = corner;
  if (speck == 0.) {
    vec4 b = texelFetch(shapes, spot(3 * i + 1), 0), c = texelFetch(shapes, spot(3 * i + 2), 0);
    vec2 low = (-centre - .15 * size) / focal, high = (1.15 * size - centre) / focal, t = clamp(p.xy / p.z, low, high);
    mat3 cov = mat3(b.x, b.y, b.z, b.y, b.w, c.x, b.z, c.x, c.y);
    mat3 J = mat3(focal.x / p.z, 0., 0., 0., focal.y / p.z, 0., -focal.x * t.x / p.z, -focal.y * t.y / p.z, 0.);
    mat3 T = J * mat3(view), s = T * cov * transpose(T);
    float A = s[0][0] + .3, B = s[0][1], C = s[1][1] + .3;
    float mid = .5 * (A + C), r = sqrt(max(.25 * (A - C) * (A - C) + B * B, 1e-9));
    float l1 = mid + r, l2 = max(mid - r, .1);
    vec2 axis = abs(B) < 1e-6 ? (A >= C ? vec2(1., 0.) : vec2(0., 1.)) : normalize(vec2(B, l1 - A));
    float reach = sqrt(2. * log(a.w * 255.)); // where it falls below 1/255: farther out nothing of it shows
    along = reach * sqrt(l1) * axis; across = reach * sqrt(l2) * vec2(-axis.y, axis.x);
    offset *= reach;
  }
  vec2 extent = abs(along) + abs(across);
  if (any(greaterThan(middle - extent, size)) || any(lessThan(middle + extent, vec2(0.)))) return;
  vec2 px = middle + corner.x * along + corner.y * across;
  gl_Position = vec4(px.x / size.x * 2. - 1., 1. - px.y / size.y * 2., 0., 1.);
  colour = vec4(2. * texelFetch(tints, spot(i), 0).rgb, a.w);
}`;
const FRAGMENT = `${SHARED}
uniform float speck; in vec2 offset; in vec4 colour; out vec4 result;
void main() {
  float far = dot(offset, offset);
  if (speck > 0.) { if (far > 1.) discard; result = vec4(colour.rgb, 1.); return; }
  float alpha = min(.999, colour.a * exp(-.5 * far));
  if (alpha < 1. / 255.) discard;
  result = vec4(colour.rgb * alpha, alpha);
}`;
