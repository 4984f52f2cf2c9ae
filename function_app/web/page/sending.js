// Files go to the storage service in blocks: Put Block, then Put Block List, by a link that allows no more.
// Which blocks were sent is kept in the browser, so that the same file, chosen again, goes on where it was.

const STORE = "uploads";
const AT_ONCE = 3;
const TRIES = 6;
const WEEK = 6.5 * 24 * 3600e3; // the service forgets blocks of an upload that was never ended after a week

const kept = {
  all() {
    try {
      const found = JSON.parse(localStorage.getItem(STORE) || "{}");
      return Object.fromEntries(Object.entries(found).filter(([, each]) => Date.now() - each.at < WEEK));
    } catch {
      return {};
    }
  },
  get(key) { return this.all()[key]; },
  put(key, value) {
    const found = this.all();
    if (value) found[key] = { ...value, at: Date.now() };
    else delete found[key];
    try { localStorage.setItem(STORE, JSON.stringify(found)); } catch { /* full or forbidden: then nothing goes on later */ }
  },
};

const keyOf = (scene, file) => JSON.stringify([scene, file.name, file.size, file.lastModified]);
const blockName = (number) => btoa(String(number).padStart(6, "0"));

class Sending {
  // told(bytes): how many of the file are there
  constructor(scene, file, told) {
    Object.assign(this, { scene, file, told, stopped: false, key: keyOf(scene, file) });
    const before = kept.get(this.key);
    this.blob = before ? before.blob : "";
    this.blockBytes = before ? before.blockBytes : 0;
    this.sent = new Set(before ? before.sent : []);
  }

  get count() { return Math.ceil(this.file.size / this.blockBytes); }
  sizeOf(number) { return Math.min(this.blockBytes, this.file.size - number * this.blockBytes); }
  get bytes() { return [...this.sent].reduce((sum, number) => sum + this.sizeOf(number), 0); }

  async ticket() {
    const wanted = { name: this.file.name, size_bytes: this.file.size, ...(this.blob ? { blob: this.blob } : {}) };
    const body = JSON.stringify({ scene: this.scene, files: [wanted] });
    const [found] = (await api("uploads", { method: "POST", body })).files;
    if (this.blockBytes !== found.block_bytes || this.blob !== found.blob) this.sent.clear();
    Object.assign(this, { blob: found.blob, blockBytes: found.block_bytes, url: found.url });
    this.keep();
  }

  keep() { kept.put(this.key, { blob: this.blob, blockBytes: this.blockBytes, sent: [...this.sent], share: this.bytes / this.file.size }); }

  // Sends what is missing and ends the upload. Throws Problem; stop() makes it end early, without one.
  async run() {
    try {
      await this.ticket();
    } catch (problem) {
      if (problem.status !== 409 || !this.blob) throw problem;
      kept.put(this.key, null); // it was sent to its end before
      this.told(this.file.size);
      return true;
    }
    for (let again = 1; again >= 0; again -= 1) {
      await this.blocks();
      if (this.stopped) return false;
      const done = await this.put("&comp=blocklist", this.list(), { "x-ms-blob-content-type": this.file.type || "application/octet-stream" });
      if (done.ok) break;
      if (done.status !== 400 || !again) throw new Problem(done.status, `the storage does not take ${this.blob}`, "try again later");
      this.sent.clear(); // it does not know some blocks any more
    }
    kept.put(this.key, null);
    this.told(this.file.size);
    return true;
  }

  async blocks() {
    const left = [...Array(this.count).keys()].filter((number) => !this.sent.has(number));
    this.told(this.bytes);
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (left.length && !this.stopped) {
        const number = left.shift();
        const begin = number * this.blockBytes;
        const done = await this.put(`&comp=block&blockid=${encodeURIComponent(blockName(number))}`, this.file.slice(begin, begin + this.sizeOf(number)));
        if (!done.ok) throw new Problem(done.status, `the storage does not take ${this.blob}`, "try again later");
        this.sent.add(number);
        this.keep();
        this.told(this.bytes);
      }
    }));
  }

  list() {
    const names = [...Array(this.count).keys()].map((number) => `<Latest>${blockName(number)}</Latest>`).join("");
    return `<?xml version="1.0" encoding="utf-8"?><BlockList>${names}</BlockList>`;
  }

  // A link that is over is renewed; what the network or a busy service refuses is tried again, later each time.
  async put(query, body, headers = {}) {
    for (let tries = 1; ; tries += 1) {
      let found = null;
      try {
        found = await fetch(this.url + query, { method: "PUT", body, headers, referrerPolicy: "no-referrer" });
      } catch (error) {
        if (error instanceof Problem || error.name === "NotReadableError") throw error;
      }
      if (this.stopped || (found && (found.ok || (found.status < 500 && ![403, 408, 429].includes(found.status))))) return found || { ok: false, status: 0 };
      if (tries >= TRIES) throw new Problem(0, `${this.file.name} cannot be sent on`, "check the network, then press Send: it goes on where it was");
      if (found && found.status === 403) await this.ticket();
      else await pause(Math.min(30000, 500 * 2 ** tries));
    }
  }

  stop() { this.stopped = true; }
}
