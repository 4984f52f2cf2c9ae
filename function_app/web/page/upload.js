// The form: files are chosen or dropped, looked at, and sent one after the other.

let chosen = []; // { file, problem, item, bar, why }
let running = null;

const nameOfScene = () => $("scene").value.trim();

async function choose(files) {
  for (const file of files) {
    if (chosen.some((each) => each.file.name === file.name && each.file.size === file.size && each.file.lastModified === file.lastModified)) continue;
    chosen.push({ file, problem: await problemOf(file), ...row(file) });
  }
  $("files").value = "";
  show();
}

function row(file) {
  const bar = make("progress", { max: file.size || 1, value: 0, "aria-label": `sent of ${file.name}`, hidden: "" });
  const why = make("span", { class: "why" });
  const out = make("button", { type: "button", "aria-label": `Leave out ${file.name}`, onclick: () => leaveOut(file) }, "Leave out");
  const item = make("li", {}, make("span", {}, file.name, " ", make("span", { class: "dim" }, size(file.size))), out, why, bar);
  $("chosen").append(item);
  return { item, bar, why, out };
}

function leaveOut(file) {
  const at = chosen.findIndex((each) => each.file === file);
  if (at < 0 || running) return;
  chosen.splice(at, 1)[0].item.remove();
  show();
  (chosen[Math.min(at, chosen.length - 1)]?.out || $("files")).focus();
}

function show() {
  const scene = sceneProblem(nameOfScene());
  $("scene-why").textContent = nameOfScene() || chosen.length ? scene : "";
  for (const each of chosen) each.why.textContent = each.problem ? `${each.problem}. It is not sent.` : each.why.textContent;
  const good = chosen.filter((each) => !each.problem);
  const doubt = doubtOf(good.map((each) => each.file));
  $("start").disabled = Boolean(scene) || !good.length || Boolean(running);
  const total = good.reduce((sum, each) => sum + each.file.size, 0);
  if (!running) $("whole").textContent = [good.length ? `${good.length} file${good.length > 1 ? "s" : ""}, ${size(total)}` : "", doubt].filter(Boolean).join(". ");
  $("whole").className = doubt && !running ? "warn" : "dim";
}

// Camera poses and settings first: a scene must not be complete between them and the films.
const order = (each) => (KNOWN.poses.includes(each.file.name) || each.file.name === KNOWN.settings ? 0 : 1);

async function sendAll(event) {
  event.preventDefault();
  if (running) return;
  const scene = nameOfScene();
  const files = chosen.filter((each) => !each.problem).sort((one, other) => order(one) - order(other));
  const total = files.reduce((sum, each) => sum + each.file.size, 0);
  running = { stopped: false, sending: null };
  busy(true);
  trouble("");
  let before = 0;
  try {
    for (const each of files) {
      each.bar.hidden = false;
      running.sending = new Sending(scene, each.file, (bytes) => {
        each.bar.value = bytes;
        $("whole").textContent = `${Math.floor((100 * (before + bytes)) / total)} % of ${size(total)}`;
      });
      if (running.stopped || !(await running.sending.run())) break;
      before += each.file.size;
      const blob = running.sending.blob.split("/").pop();
      each.why.className = "dim";
      each.why.textContent = blob && blob !== each.file.name ? `sent, as ${blob}: there is another ${each.file.name}` : "sent";
      each.sent = true;
    }
    const all = files.every((each) => each.sent);
    say(all ? `${files.length} file${files.length > 1 ? "s" : ""} sent into ${scene}. The scene is begun when nothing more comes for a while.` : "Paused. Send goes on where it was.");
    chosen = chosen.filter((each) => !each.sent);
    if (all) setTimeout(() => files.forEach((each) => each.item.remove()), 8000);
  } catch (problem) {
    trouble(problem.message);
  }
  running = null;
  busy(false);
  refresh();
}

function busy(on) {
  $("pause").hidden = !on;
  $("scene").disabled = on;
  $("files").disabled = on;
  for (const each of chosen) each.out.disabled = on;
  show();
  unfinished();
}

// What an earlier visit began and did not end.
function unfinished() {
  const found = Object.entries(kept.all()).filter(([, each]) => each.sent.length);
  $("unfinished").hidden = !found.length || Boolean(running);
  $("unfinished").querySelector("ul").replaceChildren(...found.map(([key, each]) => {
    const [scene, name] = JSON.parse(key);
    const forget = make("button", { type: "button", "aria-label": `Forget ${name}`, onclick: () => { kept.put(key, null); unfinished(); } }, "Forget");
    return make("li", {}, make("span", {}, `${scene}: ${name} `, make("span", { class: "dim" }, `${Math.floor(100 * (each.share || 0))} % sent`)), forget);
  }));
}

function preparesUploads() {
  const drop = $("drop");
  $("new").addEventListener("submit", sendAll);
  $("scene").addEventListener("input", show);
  $("files").addEventListener("change", () => choose([...$("files").files]));
  $("pause").addEventListener("click", () => { running.stopped = true; if (running.sending) running.sending.stop(); });
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault()); // else a file dropped beside it replaces the page
  drop.addEventListener("drop", (event) => { if (!running) choose([...event.dataTransfer.files]); });
  window.addEventListener("beforeunload", (event) => { if (running) event.preventDefault(); });
  show();
  unfinished();
}
