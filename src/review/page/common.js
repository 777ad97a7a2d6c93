"use strict";
// What the desk's pages share: words, requests, dialogs. Every text goes in as text, never as markup.

const $ = (id) => document.getElementById(id);
let language = stored("language") || (navigator.language.startsWith("hi") ? "hi" : "en");
let reviewer = "", greeting = {}, failure = null;

function stored(name) { try { return sessionStorage.getItem(name) || localStorage.getItem(name); } catch { return null; } }
function store(name, value) { try { sessionStorage.setItem(name, value); localStorage.setItem(name, value); } catch { /* private window */ } }
function storeHere(name, value) { try { sessionStorage.setItem(name, value); } catch { /* private window */ } }
function storedHere(name) { try { return sessionStorage.getItem(name); } catch { return null; } }

function word(name, values = {}) {
  const text = WORDS[language][name] ?? WORDS.en[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}
function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}
function nonce() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

async function ask(path, body) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  let answer;
  try { answer = await fetch(path, options); } catch { throw new Error(word("offline")); }
  if (answer.status === 403) throw new Error(word("gone"));
  if (!answer.ok) {
    const error = new Error((await answer.text()) || String(answer.status));
    error.status = answer.status;
    throw error;
  }
  return answer.json();
}
const mine = () => `reviewer=${encodeURIComponent(reviewer)}`;
function speak(text) { $("last").textContent = text; }

function drawWords() {
  document.documentElement.lang = language;
  for (const spot of document.querySelectorAll("[data-word]")) spot.textContent = word(spot.dataset.word);
  $("language").textContent = word("language");
  $("language").lang = language === "en" ? "hi" : "en";
}

// The picture of somebody with the face framed, or words where it is missing.
function drawPicture(figure, data, kind, address, alt) {
  const missing = data.missing ? `missing_${data.missing}` : kind === "face" && !data.has_face ? "missing_face" : null;
  if (missing) { figure.replaceChildren(element("div", word(missing), "gap")); return; }
  const frame = element("span", undefined, "frame"), picture = element("img");
  picture.src = address;
  picture.alt = alt;
  frame.append(picture);
  if (kind === "whole") {
    picture.width = data.picture.width;
    picture.height = data.picture.height;
    if (data.picture.face) {
      const [left, top, width, height] = data.picture.face, box = element("span", undefined, "box");
      const percent = (value, of) => `${(100 * value) / of}%`;
      box.style.left = percent(left, data.picture.width);
      box.style.top = percent(top, data.picture.height);
      box.style.width = percent(width, data.picture.width);
      box.style.height = percent(height, data.picture.height);
      frame.append(box);
    }
  } else { picture.width = picture.height = 400; }
  figure.replaceChildren(frame);
}

function theme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  store("theme", document.documentElement.dataset.theme);
}

// What may be promised of the drive, and what its detectors are worth: read anew each time, for calls go on.
async function showPromise() {
  try {
    drawPromise(await ask("promise"));
    $("promise-dialog").showModal();
  } catch (error) { speak(word("failed", { why: error.message })); }
}
function drawPromise(record) {
  const percent = (share) => (share === null || share === undefined ? "" : `${(100 * share).toFixed(1)} %`);
  const rate = ({ estimate, low, high }) => (estimate === null ? "" : `${percent(estimate)} (${percent(low)} – ${percent(high)})`);
  const table = (head, rows) => {
    const line = (cells, name) => {
      const row = element("tr");
      row.append(...cells.map((cell, at) => {
        const made = element(at === 0 || name === "th" ? "th" : "td", String(cell ?? ""));
        if (made.tagName === "TH") made.scope = name === "th" ? "col" : "row";
        return made;
      }));
      return row;
    };
    const [top, body] = [element("thead"), element("tbody")];
    top.append(line(head.map((name) => word(name)), "th"));
    body.append(...rows.map((cells) => line(cells, "td")));
    return [top, body];
  };
  $("promise-sure").textContent = word("promise_sure", { confidence: percent(record.goal.confidence) });
  $("promises").replaceChildren(...table(["promise_place", "promise_members", "promise_calls", "promise_at_most", "promise_more"],
    record.promises.map(({ level, name, members, calls, share }) => [level === "drive" ? word("promise_drive") : name, members, calls,
      calls ? percent(share.high) : word("promise_none"), share.more_calls || ""])));
  $("worth").replaceChildren(...table(["worth_detector", "worth_judged", "worth_finds", "worth_promised", "worth_right", "worth_promised"],
    record.detectors.map(({ detector, judged, rates, promised }) => [word(`detector_${detector}`), judged,
      rate(rates.recall), percent(promised?.recall), rate(rates.precision), percent(promised?.precision)])));
}

// Buttons and dialogs that both pages have.
function wire(page) {
  $("help-open").addEventListener("click", () => $("help-dialog").showModal());
  $("promise-open").addEventListener("click", showPromise);
  $("promise-close").addEventListener("click", () => $("promise-dialog").close());
  $("help-close").addEventListener("click", () => $("help-dialog").close());
  $("note-save").addEventListener("click", page.keepNote);
  $("note-cancel").addEventListener("click", () => $("note-dialog").close());
  $("note-input").addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) { event.preventDefault(); page.keepNote(); } });
  $("name-save").addEventListener("click", () => page.begin($("name-input").value));
  $("name-input").addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); page.begin($("name-input").value); } });
  $("name-dialog").addEventListener("cancel", (event) => event.preventDefault());
  $("theme").addEventListener("click", theme);
  $("language").addEventListener("click", () => {
    language = language === "en" ? "hi" : "en";
    store("language", language);
    $("last").textContent = "";
    page.draw();
  });
}

// Begins: with the name that is known, or by asking for one.
async function start(begin, refresh, greeted) {
  const chosen = stored("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
  drawWords();
  try { greeting = await ask("desk"); } catch (error) { failure = error.message; }
  $("promise-open").hidden = !greeting.promise;
  greeted?.();
  const name = greeting.reviewer ?? storedHere("reviewer");
  if (name) await begin(name); else { $("name-dialog").showModal(); $("name-input").focus(); }
  setInterval(refresh, 5000);
}
