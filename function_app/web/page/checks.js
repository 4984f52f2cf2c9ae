// What is wrong with files, before the first byte is sent.

const ending = (name) => (name.includes(".") ? name.slice(name.lastIndexOf(".")).toLowerCase() : "");
const SIGNATURES = [
  // extensions, what their first bytes are, from which byte on
  [[".mp4", ".mov", ".m4v", ".qt", ".3gp", ".3g2"], ["ftyp", "moov", "mdat", "wide", "free", "skip", "pnot"], 4],
  [[".heic", ".heif", ".hif", ".avif"], ["ftyp"], 4],
  [[".jpg", ".jpeg", ".jpe", ".jfif"], ["\xff\xd8\xff"], 0],
  [[".png"], ["\x89PNG"], 0],
  [[".mkv", ".webm"], ["\x1a\x45\xdf\xa3"], 0],
  [[".avi", ".webp"], ["RIFF"], 0],
  [[".tif", ".tiff"], ["II*\0", "MM\0*", "II+\0", "MM\0+"], 0],
];
const FEW_PHOTOS = 15;

// Why the file cannot be used; "" where nothing is known against it.
async function problemOf(file) {
  const kind = ending(file.name);
  if (!file.size) return "it is empty: copy it from the camera again";
  if (KNOWN.raw.includes(kind)) return "a raw file of a camera: export it as JPEG first";
  if (KNOWN.unfinished.includes(kind)) return "it is not downloaded to its end: wait until the program renames it";
  const other = KNOWN.poses.includes(file.name) || file.name === KNOWN.settings;
  if (!other && !KNOWN.videos.includes(kind) && !KNOWN.photos.includes(kind)) {
    return "no film and no photo by its name: mp4, mov, mkv, jpg, heic, png and others are taken";
  }
  for (const [kinds, beginnings, at] of SIGNATURES) {
    if (!kinds.includes(kind)) continue;
    const first = String.fromCharCode(...new Uint8Array(await file.slice(0, 16).arrayBuffer()));
    if (!beginnings.some((text) => first.startsWith(text, at))) return `its content is none of ${kind}: check that it opens, export it again`;
  }
  return "";
}

// What may become a disappointment, of all files together; "" where nothing is known against them.
function doubtOf(files) {
  const films = files.filter((file) => KNOWN.videos.includes(ending(file.name)));
  const photos = files.filter((file) => KNOWN.photos.includes(ending(file.name)));
  if (!films.length && photos.length && photos.length < FEW_PHOTOS) {
    return `${photos.length} photo${photos.length > 1 ? "s" : ""}: a place needs ${FEW_PHOTOS} and more, with much overlap, unless the scene has others already`;
  }
  return !films.length && !photos.length && files.length ? "no film and no photo: nothing happens before some come" : "";
}

// Why no scene can have this name, as far as a page can tell; the server knows all rules.
function sceneProblem(name) {
  if (!name) return "name the place: lobby, for one";
  if (/[\\\u0000-\u001f]/.test(name) || name.split("/").some((part) => !part.replace(/[. ]/g, ""))) return "use a plain name, without backslashes and dots alone";
  return "";
}
