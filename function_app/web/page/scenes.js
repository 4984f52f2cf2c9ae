// The list: one card a scene, changed in place, so that focus and what is open stay.

const PAGE = 24;
const SOON = 4000;
const LATER = 20000;
const ENDED = ["done", "failed", "cancelled"];
const GOES_ON = ["settling", "queued", "running"];
const cards = new Map(); // scene -> card
let roles = [];
let wanted = PAGE;
let timer = 0;
let asked = 0;

const WORDS = {
  uploading: "is being sent", settling: "waits for more files", queued: "waits for a machine", running: "is being made",
  blocked: "cannot go on", archiving: "is being put away", done: "done", failed: "failed", cancelled: "cancelled", unknown: "unknown",
};
const TONES = { done: "good", failed: "bad", blocked: "bad" };

function card(scene) {
  const parts = {
    poster: make("div", { class: "poster empty" }), name: make("h3"), state: make("p", { class: "state" }),
    bar: make("progress", { max: 1, hidden: "" }), detail: make("p", { class: "dim" }), reason: make("p"), advice: make("p"),
    files: make("details", { hidden: "" }, make("summary", {}, "Files"), make("ul")),
  };
  const button = (word, act, kind = null) => make("button", { type: "button", class: kind, hidden: "", "aria-label": `${word}: ${scene}`, onclick: act }, word);
  parts.view = button("Look around", () => look(scene, "viewer.html", parts.view), "first");
  parts.first = button("First look", () => look(scene, "viewer.html", parts.first, "preview"));
  parts.report = button("Report", () => look(scene, "report.html", parts.report));
  parts.stop = button("Cancel", () => stop(scene));
  parts.retry = button("Make again", () => retry(scene));
  parts.remove = button("Delete result", () => remove(scene), "danger");
  parts.files.addEventListener("toggle", () => { if (parts.files.open) files(scene, parts.files); });
  parts.told = make("div", { class: "told" }, parts.name, parts.state, parts.bar, parts.detail, parts.reason, parts.advice, parts.files,
    make("div", { class: "row" }, parts.view, parts.first, parts.report, parts.stop, parts.retry, parts.remove));
  parts.item = make("li", {}, parts.poster, parts.told);
  parts.name.textContent = scene;
  return parts;
}

function fill(parts, found) {
  const words = [WORDS[found.state] || found.state, found.doubtful ? "in doubt" : "", found.attempt > 1 ? `attempt ${found.attempt}` : ""];
  parts.state.textContent = words.filter(Boolean).join(", ");
  parts.state.className = `state ${found.doubtful ? "warn" : TONES[found.state] || ""}`;
  parts.bar.hidden = found.state !== "running";
  parts.bar.value = found.progress;
  parts.bar.setAttribute("aria-label", `progress of ${found.scene}`);
  parts.detail.textContent = details(found).join("; ");
  parts.reason.textContent = found.failure ? `${found.failure.cause} (${found.failure.code})` : found.reason;
  parts.advice.textContent = found.failure && found.failure.advice ? `What to do: ${found.failure.advice}` : "";
  for (const part of [parts.detail, parts.reason, parts.advice]) part.hidden = !part.textContent;
  const may = roles.includes("operator");
  parts.view.hidden = parts.report.hidden = parts.files.hidden = !found.has_result;
  parts.first.hidden = !found.has_preview;
  parts.stop.hidden = !may || !GOES_ON.includes(found.state);
  parts.retry.hidden = !may || !ENDED.includes(found.state);
  parts.remove.hidden = !may || !found.has_result || !ENDED.includes(found.state);
  poster(parts, found);
}

function details(found) {
  const told = [];
  if (found.state === "running") told.push(`${Math.floor(100 * found.progress + 1e-6)} %, ${[found.stage, found.detail].filter(Boolean).join(": ")}`);
  if (found.estimate_seconds) told.push(`expected ${duration(found.estimate_seconds[0])} to ${duration(found.estimate_seconds[1])} in all`);
  if (found.took_seconds !== null) told.push(`took ${duration(found.took_seconds)}`);
  if (found.seconds_left !== null) told.push(`about ${duration(found.seconds_left)} left in this stage`);
  if (found.expected && found.state !== "running") told.push(`expected to go on at ${clock(found.expected)}`);
  else if (found.expected) told.push(`expected to end at about ${clock(found.expected)}`);
  if (["settling", "uploading"].includes(found.state) && found.uploads) told.push(`${found.uploads} file${found.uploads > 1 ? "s" : ""}`);
  if (found.note && !found.expected) told.push(found.note);
  if (ENDED.includes(found.state) && found.since) told.push(clock(found.since));
  return told;
}

// The link changes every ten minutes; the picture is asked for again only where the result is another one.
function poster(parts, found) {
  const version = found.has_result || found.has_preview ? `${found.scene} ${found.has_result} ${found.changed_at}` : "";
  if (parts.shown === version && (version || parts.empty === found.state)) return;
  Object.assign(parts, { shown: version, empty: found.state });
  const none = make("div", { class: "poster empty" }, found.has_result ? "no picture" : "no result yet");
  const picture = found.poster ? make("img", { class: "poster", alt: `The scene ${found.scene}`, src: found.poster, referrerpolicy: "no-referrer", onerror: () => { picture.replaceWith(none); parts.poster = none; } }) : none;
  parts.poster.replaceWith(picture);
  parts.poster = picture;
}

async function refresh() {
  clearTimeout(timer);
  const mine = (asked += 1);
  let next = SOON;
  try {
    const found = [];
    let after = "";
    let total = 0;
    do {
      const query = new URLSearchParams({ limit: Math.min(200, wanted - found.length), name: $("find").value.trim(), ...(after ? { after } : {}) });
      const page = await api(`scenes?${query}`);
      found.push(...page.scenes);
      total = page.total;
      after = page.next;
    } while (after && found.length < wanted);
    if (mine !== asked) return;
    draw(found, total);
    if (found.every((each) => ENDED.includes(each.state))) next = LATER;
    if ($("trouble").dataset.of === "list") trouble("");
  } catch (problem) {
    if (mine !== asked) return;
    $("trouble").dataset.of = "list";
    trouble(problem.message);
    if (problem.status === 401 || problem.status === 403) return;
    next = LATER;
  }
  timer = setTimeout(refresh, document.hidden ? LATER * 3 : next);
}

function draw(found, total) {
  const names = found.map((each) => each.scene);
  for (const [name, parts] of cards) if (!names.includes(name)) { parts.item.remove(); cards.delete(name); }
  let before = null;
  for (const each of found) {
    if (!cards.has(each.scene)) cards.set(each.scene, card(each.scene));
    const parts = cards.get(each.scene);
    fill(parts, each);
    const place = before ? before.nextElementSibling : $("scenes").firstElementChild;
    // what has the focus stays where it is: moved in the document it would lose it
    if (place !== parts.item && !parts.item.contains(document.activeElement)) $("scenes").insertBefore(parts.item, place);
    before = parts.item;
  }
  $("none").hidden = total > 0;
  $("none").textContent = $("find").value.trim() ? "No scene has that in its name." : "No scene yet.";
  $("more").hidden = found.length >= total;
  $("count").textContent = total > found.length ? `${found.length} of ${total}` : "";
  $("known-scenes").replaceChildren(...names.map((name) => make("option", { value: name })));
}

const fileLink = async (scene, name, query = "", of = "files") => (await api(`scenes/${segment(scene)}/${of}/${name.split("/").map(segment).join("/")}${query}`)).url;

async function look(scene, name, from, of = "files") {
  try {
    const url = await fileLink(scene, name, "", of);
    await closed($("look"), () => {
      $("look-title").textContent = name !== "viewer.html" ? `Report of ${scene}` : of === "preview" ? `First look at ${scene}` : scene;
      $("frame").title = $("look-title").textContent;
      $("apart").href = url;
      $("frame").src = url;
    });
    $("frame").removeAttribute("src");
    from.focus();
  } catch (problem) {
    trouble(problem.message);
  }
}

async function files(scene, details) {
  try {
    const found = (await api(`scenes/${segment(scene)}`)).files;
    details.querySelector("ul").replaceChildren(...found.map((file) => {
      const get = make("a", { href: "#", onclick: async (event) => {
        event.preventDefault();
        try { location.assign(await fileLink(scene, file.name, "?download=1")); } catch (problem) { trouble(problem.message); }
      } }, file.name);
      return make("li", {}, get, make("span", { class: "dim" }, size(file.size_bytes)));
    }));
  } catch (problem) {
    trouble(problem.message);
  }
}

async function change(scene, method, path, done) {
  say(`${scene}: ...`);
  try {
    await api(`scenes/${segment(scene)}${path}`, { method });
    say(`${scene}: ${done}`);
  } catch (problem) {
    say("");
    trouble(`${scene}: ${problem.message}`);
  }
  refresh();
}

async function retry(scene) {
  if (await confirmed(`Make ${scene} again?`, "It runs again with all files it has. The result that is there stays until the new one takes its place.", "Make again")) {
    await change(scene, "POST", "/retry", "runs again");
  }
}

async function stop(scene) {
  if (await confirmed(`Cancel ${scene}?`, "A run stops within seconds. The films and photos stay, and nothing starts before it is made again or something new is sent.", "Cancel the scene")) {
    await change(scene, "POST", "/cancel", "is cancelled");
  }
}

async function remove(scene) {
  if (await confirmed(`Delete the result of ${scene}?`, "The files of the result go. The films and photos stay in the archive, and the scene can be made again from them.", "Delete")) {
    await change(scene, "DELETE", "", "its result is deleted");
  }
}

async function begin() {
  $("close").addEventListener("click", () => $("look").close());
  $("more").addEventListener("click", () => { wanted += PAGE * 2; refresh(); });
  $("find").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(refresh, 250); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  try {
    roles = (await api("me")).roles;
  } catch (problem) {
    trouble(problem.message);
    return;
  }
  if (roles.includes("uploader")) {
    $("send").hidden = false;
    preparesUploads();
  }
  await refresh();
  document.body.dataset.ready = "yes";
}

begin();
