"use strict";
// What is asked of the API, and of the page's own elements.

const $ = (id) => document.getElementById(id);
const KNOWN = JSON.parse($("known").textContent);
// With WEB_AUTH=keys the key stands in the address. It is sent as a header, to this site alone.
const KEY = new URLSearchParams(location.search).get("code");

function make(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null) made.setAttribute(key, value);
  }
  made.append(...inside);
  return made;
}

// A failure that can be told to a person. status: 0 where the network failed.
class Problem extends Error {
  constructor(status, detail, advice = "", code = "") {
    super(advice ? `${detail.replace(/\.$/, "")}: ${advice}` : detail);
    this.status = status;
    this.code = code;
  }
}

async function api(path, options = {}) {
  const headers = { Accept: "application/json", "X-Requested-With": "XMLHttpRequest", ...(options.headers || {}) };
  if (KEY) headers["x-functions-key"] = KEY;
  if (options.body) headers["Content-Type"] = "application/json";
  let found;
  for (let tries = 1; ; tries += 1) {
    try {
      found = await fetch(`/api/${path}`, { ...options, headers, redirect: "manual" });
    } catch {
      throw new Problem(0, "the server does not answer", "check the network; it is asked again");
    }
    if (found.status !== 429 || tries > 3) break;
    await pause(1000 * Math.min(60, Number(found.headers.get("Retry-After")) || 5)); // asked too often: not now
  }
  if (found.type === "opaqueredirect" || found.status === 401) {
    throw new Problem(401, "nobody is signed in any more", "load the page again to sign in");
  }
  let body = null;
  try {
    body = await found.json();
  } catch {
    throw new Problem(found.status, `the server answered with ${found.status}`);
  }
  if (!found.ok) throw new Problem(found.status, body.detail || body.title || String(found.status), body.advice, body.code);
  return body;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const segment = (name) => encodeURIComponent(name);
const say = (text) => { $("said").textContent = text; };

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

const duration = (seconds) => (seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`);

function clock(text) {
  const time = new Date(text);
  const today = time.toDateString() === new Date().toDateString();
  return time.toLocaleString([], today ? { hour: "2-digit", minute: "2-digit" } : { dateStyle: "medium", timeStyle: "short" });
}

// Opens a dialog; what it was closed with. `close` comes as a task of its own after the dialog has gone, and whoever opened
// the next one before that would be told of this one's closing: the next one waits for it.
let last = Promise.resolve();
function closed(dialog, prepare) {
  last = last.then(() => new Promise((resolve) => {
    prepare();
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
    dialog.showModal();
  }));
  return last;
}

// Asks a person in a dialog; whether they said yes.
async function confirmed(title, text, yes) {
  return (await closed($("ask"), () => {
    $("ask-title").textContent = title;
    $("ask-text").textContent = text;
    $("yes").textContent = yes;
  })) === "yes";
}
