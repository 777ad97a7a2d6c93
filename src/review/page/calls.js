"use strict";
// The queue of calls. A member is left only after the desk has confirmed that the answer is on the disk.

const ANSWERS = { Digit1: "confirmed", Digit2: "denied", Digit3: "wrong_data", Digit4: "undelivered", Digit5: "silent",
  Numpad1: "confirmed", Numpad2: "denied", Numpad3: "wrong_data", Numpad4: "undelivered", Numpad5: "silent" };
const TOLD = ["in_person", "live", "first_time"], TOLD_KEYS = { KeyQ: "in_person", KeyW: "live", KeyE: "first_time" };
let state = null, current = null, view = null, shownAt = 0, busy = false, finished = false, undoing = null;
// By member: words not sent yet, what was said of worker, picture and enrolments, numbers that were shown.
const drafts = new Map(), told = new Map(), numbers = new Map(), pending = new Map();

const place = (id) => state.items.findIndex((item) => item.id === id);
const item = () => state && state.items[place(current)];
const said = () => told.get(current) ?? item()?.said ?? [null, null, null];
// Both kinds of list have the same questions but the first.
const visit = () => state?.channel === "visit";

function drawState() {
  if (!state) return;
  const { done, total, left, later } = state;
  $("bar").max = Math.max(total, 1);
  $("bar").value = done;
  $("counts").textContent = word("counts", { done, total, left }) + (later ? ` · ${word("later", { later })}` : "");
  $("who").textContent = reviewer;
  const notices = [];
  if (failure) notices.push(word("failed", { why: failure }));
  if (greeting.without_dump) notices.push(word("without_dump", { file: greeting.without_dump }));
  if (state.torn) notices.push(word("torn"));
  if (state.elsewhere) notices.push(word("elsewhere", { count: state.elsewhere }));
  $("notices").replaceChildren(...notices.map((text) => element("p", text)));
  $("finished-counts").textContent = word("finished_calls", { mine: state.mine, total, later });
}

function drawStanding() {
  const now = item(), parts = [];
  const badge = (answer) => element("span", word(answer), `badge ${answer}`);
  if (now?.mine) parts.push(word("you_wrote"), badge(now.mine), " ");
  for (const [name, answer] of now?.by ?? []) parts.push(word("others_said", { name }), badge(answer), " ");
  if (now?.silent) parts.push(word("tries", { count: now.silent }), " ");
  if (now?.again_at) parts.push(word("again", { at: new Date(now.again_at).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" }) }), " ");
  if (now?.held) parts.push(word("called_now"));
  const note = drafts.get(current) ?? now?.note;
  if (note) parts.push(" ", word("has_note", { note }));
  $("standing").replaceChildren(...parts);
  for (const button of document.querySelectorAll("[data-answer]")) {
    button.setAttribute("aria-pressed", String(now?.mine === button.dataset.answer));
  }
}

function drawTold() {
  for (const button of document.querySelectorAll("[data-told]")) {
    const value = said()[TOLD.indexOf(button.dataset.told)];
    const text = value === null || value === undefined ? "not_asked" : value ? "yes" : "no";
    button.lastElementChild.textContent = word(text);
    button.dataset.value = text;
  }
}

function drawNumber() {
  const number = numbers.get(current);
  $("number").hidden = number !== undefined || !view.mobile;
  if (number === undefined) { $("shown").replaceChildren(); return; }
  const link = element("a", number, "number");
  link.href = `tel:${/^\d{10}$/.test(number) ? "+91" : ""}${number}`;
  $("shown").replaceChildren(link);
}

function drawRecord() {
  const when = view.captured_at?.replace("T", " ").replace("Z", "");
  const values = { member_name: view.member_name, booth_id: view.booth_id, district: view.district, worker: view.worker,
    captured_at: when, mobile: view.mobile, epic: view.epic, submission: view.submission };
  $("record").replaceChildren(...Object.entries(values).map(([name, value]) => {
    const row = element("tr"), head = element("th", word(name));
    head.scope = "row";
    row.append(head, element("td", value || word("unknown")));
    return row;
  }));
  $("ask-0").textContent = word(visit() ? "ask_0_visit" : "ask_0");
  $("ask-1").textContent = word("ask_1", { name: view.member_name || word("somebody") });
  $("ask-2").textContent = word("ask_2", { name: view.member_name || word("unknown"), booth: view.booth_id || word("unknown"), district: view.district || word("unknown") });
}

function draw() {
  drawWords();
  drawState();
  $("finished").hidden = !finished;
  $("member").hidden = finished || !view;
  if (finished || !view) return;
  $("where").textContent = word(visit() ? "where_visit" : "where_call", { at: place(current) + 1, total: state.total });
  drawStanding();
  for (const kind of ["face", "whole"]) {
    drawPicture($(kind), view, kind, `calls/picture/${view.id}/${kind}`, word(`${kind}_member_alt`));
  }
  drawRecord();
  drawTold();
  drawNumber();
}

async function show(id) {
  current = id;
  finished = false;
  try {
    const fetched = await ask(`calls/item/${id}?${mine()}`);
    if (current !== id) return;
    view = fetched;
    shownAt = Date.now();
    failure = null;
  } catch (error) { failure = error.message; }
  draw();
  window.scrollTo(0, 0);
}

// The next member to call after the one shown; one whom another calls only when nobody else is left.
async function advance() {
  const from = Math.max(place(current), -1), { items } = state;
  const order = [...items.slice(from + 1), ...items.slice(0, from + 1)];
  const next = order.find((i) => i.open && !i.held) ?? order.find((i) => i.open);
  if (next) return show(next.id);
  finished = true;
  draw();
  $("finished").focus();
}

async function answer(given, stay = false) {
  if (busy || finished || !view || !current || view.id !== current) return;
  busy = true;
  const id = current, facts = Object.fromEntries(TOLD.map((name, at) => [name, said()[at]]));
  const note = drafts.get(id) ?? item()?.note ?? null;
  // The same answer sent again after a lost reply bears the same nonce, and counts once.
  const key = JSON.stringify([id, given, facts, note]);
  if (!pending.has(key)) pending.set(key, nonce());
  try {
    state = await ask("calls/answer", { reviewer, nonce: pending.get(key), item: id, answer: given, ...facts, note, looked_ms: Date.now() - shownAt });
    pending.delete(key);
    drafts.delete(id);
    told.delete(id);
    // A number is on the screen no longer than its call.
    if (!stay) numbers.delete(id);
    failure = null;
    speak(word("recorded", { answer: word(given) }));
    busy = false;
    if (stay) draw(); else await advance();
  } catch (error) {
    failure = error.message;
    drawState();
  } finally { busy = false; }
}

async function undo() {
  if (busy) return;
  busy = true;
  try {
    undoing ||= nonce();
    state = await ask("calls/undo", { reviewer, nonce: undoing });
    undoing = failure = null;
    speak(word("taken_back"));
    const id = state.changed && place(state.changed) >= 0 ? state.changed : current;
    busy = false;
    await show(id);
  } catch (error) {
    if (error.status === 409) { undoing = null; speak(word("nothing_to_undo")); } else { failure = error.message; drawState(); }
  } finally { busy = false; }
}

async function showNumber() {
  if (busy || finished || !view || numbers.has(current)) return;
  const id = current, key = `number ${id}`;
  if (!pending.has(key)) pending.set(key, nonce());
  try {
    const shown = await ask("calls/number", { reviewer, nonce: pending.get(key), item: id });
    pending.delete(key);
    numbers.set(id, shown.number ?? "");
    failure = null;
    drawState();
    if (current === id) drawNumber();
  } catch (error) { failure = error.message; drawState(); }
}

function turn(name) {
  if (finished || !view) return;
  const now = [...said()], at = TOLD.indexOf(name);
  now[at] = now[at] === null || now[at] === undefined ? true : now[at] ? false : null;
  told.set(current, now);
  drawTold();
}

function move(by) {
  if (!state || busy) return;
  if (finished) { if (state.items.length) show(state.items[by < 0 ? state.items.length - 1 : 0].id); return; }
  const to = place(current) + by;
  if (to >= 0 && to < state.items.length) show(state.items[to].id);
}

function openNote() {
  if (finished || !current) return;
  $("note-input").value = drafts.get(current) ?? item()?.note ?? "";
  $("note-dialog").showModal();
  $("note-input").focus();
}
function keepNote() {
  drafts.set(current, $("note-input").value.trim());
  $("note-dialog").close();
  const mineNow = item()?.mine;
  if (mineNow) answer(mineNow, true); else { speak(word("note_kept")); drawStanding(); }
}

async function refresh() {
  if (!reviewer || busy || document.hidden) return;
  try {
    const fresh = await ask(`calls/state?${mine()}`);
    if (busy) return;
    state = fresh;
    drawState();
    if (!finished && view) drawStanding();
  } catch (error) { failure = error.message; drawState(); }
}

async function begin(name) {
  if (!name.trim()) { $("name-error").textContent = word("name_wrong"); return; }
  try {
    reviewer = name.trim().replace(/\s+/g, " ");
    state = await ask(`calls/state?${mine()}`);
    reviewer = state.reviewer;
    storeHere("reviewer", reviewer);
    if ($("name-dialog").open) $("name-dialog").close();
    current = null;
    await advance();
  } catch (error) {
    $("name-error").textContent = error.status === 400 ? word("name_wrong") : error.message;
    if (!$("name-dialog").open) { $("name-dialog").showModal(); $("name-input").focus(); }
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  // By the key's place, so that a Hindi keyboard has them too.
  const act = { KeyU: undo, KeyN: openNote, KeyM: showNumber, ArrowLeft: () => move(-1), ArrowRight: () => move(1) }[event.code];
  if (event.key === "?") $("help-dialog").showModal();
  else if (ANSWERS[event.code] && !event.repeat && !event.shiftKey) answer(ANSWERS[event.code]);
  else if (TOLD_KEYS[event.code] && !event.repeat) turn(TOLD_KEYS[event.code]);
  else if (act && (!event.repeat || event.code.startsWith("Arrow"))) act();
  else return;
  event.preventDefault();
});

for (const button of document.querySelectorAll("[data-answer]")) button.addEventListener("click", () => answer(button.dataset.answer));
for (const button of document.querySelectorAll("[data-told]")) button.addEventListener("click", () => turn(button.dataset.told));
$("undo").addEventListener("click", undo);
$("note").addEventListener("click", openNote);
$("number").addEventListener("click", showNumber);
$("back").addEventListener("click", () => move(-1));
$("next").addEventListener("click", () => move(1));
$("look-back").addEventListener("click", () => move(1));
wire({ begin, keepNote, draw });
start(begin, refresh);
