// WebGL: what the graphics card holds, made anew when it is lost; and the drawing of one picture.

const SPECK_PX = 1.6; // radius of a point, in CSS pixels

class Drawing {
  constructor(canvas, gaussians) {
    this.canvas = canvas;
    this.gaussians = gaussians;
    this.order = null; // indices, far to near
    this.gl = canvas.getContext("webgl2", { antialias: false, alpha: false, powerPreference: "high-performance" });
    if (!this.gl) throw new Error("no WebGL 2");
    this.build();
  }

  build() {
    const gl = this.gl, { gaussians } = this;
    this.colouring = this.program(COLOUR_VERTEX, COLOUR_FRAGMENT, ["shapes", "colours", "eye", "degree", "count"]);
    this.splatting = this.program(VERTEX, FRAGMENT, ["shapes", "tints", "view", "focal", "size", "centre", "speck"]);
    this.shapes = this.texture(gl.RGBA32F, gaussians.rows, gl.RGBA, gl.FLOAT, gaussians.shapes);
    this.colours = this.texture(gl.RGBA32UI, gaussians.rows, gl.RGBA_INTEGER, gl.UNSIGNED_INT, new Uint32Array(gaussians.colours.buffer));
    this.tintRows = Math.max(1, Math.ceil(gaussians.count / TEXELS));
    this.tints = this.texture(gl.RGB10_A2, this.tintRows, gl.RGBA, gl.UNSIGNED_INT_2_10_10_10_REV, null);
    this.target = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.tints, 0);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.empty = gl.createVertexArray();
    this.splats = gl.createVertexArray();
    gl.bindVertexArray(this.splats);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    this.orders = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.orders);
    gl.enableVertexAttribArray(1);
    gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_INT, 0, 0);
    gl.vertexAttribDivisor(1, 1);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.clearColor(0, 0, 0, 1);
    this.coloured = null; // the place of the eye that the tints are for
    if (this.order) this.take(this.order);
  }

  program(vertex, fragment, names) {
    const gl = this.gl, made = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.bindAttribLocation(made, 0, "corner");
    gl.bindAttribLocation(made, 1, "index");
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(gl.getAttachedShaders(made).map(shader => gl.getShaderInfoLog(shader)).join(" ") || "shaders do not link");
    }
    return { made, at: Object.fromEntries(names.map(name => [name, gl.getUniformLocation(made, name)])) };
  }

  texture(format, rows, order, kind, values) {
    const gl = this.gl, made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, format, TEXELS, rows, 0, order, kind, values);
    return made;
  }

  take(order) {
    this.order = order;
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.orders);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, order, this.gl.DYNAMIC_DRAW);
  }

  bind(unit, texture, place) {
    this.gl.activeTexture(this.gl.TEXTURE0 + unit);
    this.gl.bindTexture(this.gl.TEXTURE_2D, texture);
    this.gl.uniform1i(place, unit);
  }

  colour(eye) {
    if (this.coloured && eye.every((value, i) => value === this.coloured[i])) return;
    const gl = this.gl, { made, at } = this.colouring;
    gl.useProgram(made);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.viewport(0, 0, TEXELS, this.tintRows);
    gl.disable(gl.BLEND);
    gl.bindVertexArray(this.empty);
    this.bind(0, this.shapes, at.shapes);
    this.bind(1, this.colours, at.colours);
    gl.uniform3fv(at.eye, eye);
    gl.uniform1i(at.degree, this.gaussians.degree);
    gl.uniform1i(at.count, this.gaussians.count);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.coloured = eye.slice();
  }

  // camera: rows (world to camera, [3][3]), eye, focal and centre [2] in pixels of a picture of width x height.
  draw({ rows, eye, focal, centre }, width, height, asPoints) {
    const gl = this.gl, { canvas } = this, { made, at } = this.splatting;
    if (gl.isContextLost() || !this.order) return;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    this.colour(eye);
    gl.useProgram(made);
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.bindVertexArray(this.splats);
    this.bind(0, this.shapes, at.shapes);
    this.bind(1, this.tints, at.tints);
    gl.uniformMatrix4fv(at.view, false, [0, 1, 2, 3].flatMap(i => [...rows.map(row => i < 3 ? row[i] : -dot(row, eye)), i < 3 ? 0 : 1]));
    gl.uniform2fv(at.focal, focal);
    gl.uniform2fv(at.centre, centre);
    gl.uniform2f(at.size, width, height);
    gl.uniform1f(at.speck, asPoints ? SPECK_PX * width / Math.max(1, canvas.clientWidth) : 0);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.order.length);
  }
}
