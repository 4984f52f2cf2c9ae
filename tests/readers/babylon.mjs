// Opens a .glb with Babylon.js, without a screen, and prints what it holds as JSON.
import fs from "node:fs";

globalThis.Worker = class { postMessage() {} terminate() {} }; // it sorts for the screen; nothing is drawn here
URL.createObjectURL = () => "blob:none";
const { NullEngine } = await import("@babylonjs/core/Engines/nullEngine.js");
const { Scene } = await import("@babylonjs/core/scene.js");
const { LoadAssetContainerAsync } = await import("@babylonjs/core/Loading/sceneLoader.js");
const { GaussianSplattingMesh } = await import("@babylonjs/core/Meshes/GaussianSplatting/gaussianSplattingMesh.js");
await import("@babylonjs/loaders/glTF/2.0/index.js");
const { registerBuiltInGLTFExtensions } = await import("@babylonjs/loaders/glTF/2.0/Extensions/dynamic.js");

let rows = null; // 32 bytes per Gaussian: position, scale (6 floats), colour and opacity, rotation (8 bytes)
let harmonics = null;
const update = GaussianSplattingMesh.prototype.updateDataAsync;
GaussianSplattingMesh.prototype.updateDataAsync = function (data, sh, ...rest) {
  rows = new Uint8Array(data.slice(0));
  harmonics = (sh ?? []).map((texture) => new Uint8Array(texture.buffer, texture.byteOffset, texture.byteLength));
  return update.call(this, data, sh, ...rest);
};
registerBuiltInGLTFExtensions();
const bytes = new Uint8Array(fs.readFileSync(process.argv[2]));
const { meshes } = await LoadAssetContainerAsync(bytes, new Scene(new NullEngine()), { pluginExtension: ".glb" });
const mesh = meshes.find((one) => one.getClassName() === "GaussianSplattingMesh");
const count = rows.length / 32;
const print = { degree: mesh.shDegree, rows: Buffer.from(rows).toString("base64"), harmonics: [] };
for (const texture of harmonics) print.harmonics.push(Buffer.from(texture.subarray(0, 16 * count)).toString("base64"));
process.stdout.write(JSON.stringify(print) + "\n", () => process.exit(0));
