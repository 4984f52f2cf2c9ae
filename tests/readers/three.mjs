// Opens a .glb with three.js and prints what it holds as JSON.
import fs from "node:fs";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { GLTFGaussianSplatLoaderExtension } from "three/addons/loaders/GLTFGaussianSplatLoaderExtension.js";

const loader = new GLTFLoader();
loader.register((parser) => new GLTFGaussianSplatLoaderExtension(parser));
const { scene } = await loader.parseAsync(new Uint8Array(fs.readFileSync(process.argv[2])).buffer, "");
const print = {};
scene.traverse((node) => {
  if (!node.isGaussianSplat) return;
  for (const [name, attribute] of Object.entries(node.splatGeometry.attributes)) {
    const { buffer, byteOffset, byteLength } = attribute.array;
    print[name] = Buffer.from(buffer, byteOffset, byteLength).toString("base64");
  }
});
process.stdout.write(JSON.stringify(print) + "\n", () => process.exit(0));
