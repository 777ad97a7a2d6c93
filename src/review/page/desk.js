"use strict";
// The queue of pairs. A pair is left only after the desk has confirmed that the decision is on the disk.

const KEYS = { KeyJ: "same", KeyK: "not_sure", KeyL: "different" };
let state = null, current = null, view = null, shownAt = 0, busy = false, finished = false;
let undoing = null;
const drafts = new Map(), pending = new Map();

const place = (id) => state.items.findIndex((item) => item.id === id);
const item = () => state && state.items[place(current)];

function drawState() {
  if (!state) return;
  const { done, total, left } = state;
  $("bar").max = Math.max(total, 1);
  $("bar").value = done;
  const rate = state.per_hour ? ` · ${word("rate", { rate: Math.round(state.per_hour) })}` : "";
  $("counts").textContent = word("counts", { done, total, left }) + rate;
  $("who").textContent = reviewer;
  const notices = [];
  if (failure) notices.push(word("failed", { why: failure }));
  if (greeting.without_dump) notices.push(word("without_dump", { file: greeting.without_dump }));
  if (state.torn) notices.push(word("torn"));
  $("notices").replaceChildren(...notices.map((text) => element("p", text)));
  $("finished-counts").textContent = word("finished_counts", { mine: state.mine, total });
}

function drawStanding() {
  const now = item(), parts = [];
  const badge = (answer) => element("span", word(answer), `badge ${answer}`);
  if (now?.mine) parts.push(word("you_said"), badge(now.mine), " ");
  for (const [name, answer] of now?.by ?? []) parts.push(word("others_said", { name }), badge(answer), " ");
  if (now?.mine && (now.by ?? []).some(([, answer]) => answer !== now.mine)) parts.push(word("disputed"));
  if (now?.held) parts.push(word("looked_at"));
  const note = drafts.get(current) ?? now?.note;
  if (note) parts.push(" ", word("has_note", { note }));
  $("standing").replaceChildren(...parts);
  for (const button of document.querySelectorAll("[data-answer]")) {
    button.setAttribute("aria-pressed", String(now?.mine === button.dataset.answer));
  }
}

function drawRecord() {
  const rows = [];
  const [a, b] = view.sides;
  const when = (side) => side.captured_at.replace("T", " ").replace("Z", "") + (side.earlier_night ? ` (${word("earlier")})` : "");
  const values = { district: (s) => s.district, worker: (s) => s.worker, captured_at: when, mobile: (s) => s.mobile, epic: (s) => s.epic,
    member_name: (s) => s.member_name, booth_id: (s) => s.booth_id, submission: (s) => s.submission };
  for (const [name, get] of Object.entries(values)) {
    const [x, y] = [get(a), get(b)];
    if (!x && !y) continue;
    const row = element("tr");
    const head = element("th", word(name));
    head.scope = "row";
    // Masked numbers that look alike may differ in what is hidden: the evidence says, not the table.
    if (x === y && !["mobile", "epic", "submission"].includes(name)) row.className = "equal";
    row.append(head, element("td", x || word("unknown")), element("td", y || word("unknown")));
    rows.push(row);
  }
  $("record").replaceChildren(...rows);
  const most = Math.max(1, ...view.evidence.map(([, weight]) => Math.abs(weight)));
  $("evidence").replaceChildren(...view.evidence.map(([name, weight]) => {
    const line = element("li", undefined, weight < 0 ? "against" : "for");
    const track = element("span"), bar = element("span", undefined, "weight");
    bar.style.display = "block";
    bar.style.width = `${(100 * Math.abs(weight)) / most}%`;
    track.append(bar);
    line.append(element("span", language === "hi" ? PARTS_HI[name] ?? name : name), track);
    line.title = (weight > 0 ? "+" : "") + weight.toFixed(1).replace("-", "−");
    return line;
  }));
  $("odds").textContent = word(`grade_${view.grade ?? "none"}`);
}

function draw() {
  drawWords();
  drawState();
  $("finished").hidden = !finished;
  $("pair").hidden = finished || !view;
  if (finished || !view) return;
  $("where").textContent = word("where", { at: place(current) + 1, total: state.total });
  $("person").textContent = view.rank
    ? word("person", { rank: view.rank, size: view.size, districts: view.districts.join(", "), worth: word(`worth_${view.worth}`) })
    : word("between");
  drawStanding();
  ["a", "b"].forEach((side, at) => ["face", "whole"].forEach((kind) => {
    const alt = word(`${kind}_alt`, { which: word(`which_${side}`) });
    drawPicture($(`${kind}-${side}`), view.sides[at], kind, `picture/${view.id}/${side}/${kind}`, alt);
  }));
  drawRecord();
}

async function show(id) {
  current = id;
  finished = false;
  try {
    const fetched = await ask(`item/${id}?${mine()}`);
    if (current !== id) return;
    view = fetched;
    shownAt = Date.now();
    failure = null;
  } catch (error) { failure = error.message; }
  draw();
  window.scrollTo(0, 0);
}

// The next pair to answer after the one shown; one that another holds only when nothing else is left.
async function advance() {
  const from = Math.max(place(current), -1), { items } = state;
  const order = [...items.slice(from + 1), ...items.slice(0, from + 1)];
  const next = order.find((i) => i.open && !i.held) ?? order.find((i) => i.open);
  if (next) return show(next.id);
  finished = true;
  draw();
  $("finished").focus();
}

async function decide(answer, stay = false) {
  if (busy || finished || !view || !current || view.id !== current) return;
  busy = true;
  const id = current;
  // The same decision sent again after a lost answer bears the same nonce, and counts once.
  const key = `${id} ${answer} ${drafts.get(id) ?? ""}`;
  if (!pending.has(key)) pending.set(key, nonce());
  try {
    const note = drafts.get(id) ?? item()?.note ?? null;
    state = await ask("decide", { reviewer, nonce: pending.get(key), item: id, answer, note, looked_ms: Date.now() - shownAt });
    pending.delete(key);
    drafts.delete(id);
    failure = null;
    speak(word("recorded", { answer: word(answer) }));
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
    state = await ask("undo", { reviewer, nonce: undoing });
    undoing = failure = null;
    speak(word("taken_back"));
    const id = state.changed && place(state.changed) >= 0 ? state.changed : current;
    busy = false;
    await show(id);
  } catch (error) {
    if (error.status === 409) { undoing = null; speak(word("nothing_to_undo")); } else { failure = error.message; drawState(); }
  } finally { busy = false; }
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
  const text = $("note-input").value.trim();
  drafts.set(current, text);
  $("note-dialog").close();
  const said = item()?.mine;
  if (said) decide(said, true); else { speak(word("note_kept")); drawStanding(); }
}

async function refresh() {
  if (!reviewer || busy || document.hidden) return;
  try {
    const fresh = await ask(`state?${mine()}`);
    if (busy) return;
    state = fresh;
    drawState();
    drawStanding();
  } catch (error) { failure = error.message; drawState(); }
}

async function begin(name) {
  if (!name.trim()) { $("name-error").textContent = word("name_wrong"); return; }
  try {
    reviewer = name.trim().replace(/\s+/g, " ");
    state = await ask(`state?${mine()}`);
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
  const act = { KeyU: undo, KeyN: openNote, KeyF: () => document.body.classList.toggle("large"),
    ArrowLeft: () => move(-1), ArrowRight: () => move(1) }[event.code];
  if (event.key === "?") $("help-dialog").showModal();
  else if (KEYS[event.code] && !event.repeat) decide(KEYS[event.code]);
  else if (act && (!event.repeat || event.code.startsWith("Arrow"))) act();
  else return;
  event.preventDefault();
});

for (const button of document.querySelectorAll("[data-answer]")) button.addEventListener("click", () => decide(button.dataset.answer));
$("undo").addEventListener("click", undo);
$("note").addEventListener("click", openNote);
$("back").addEventListener("click", () => move(-1));
$("next").addEventListener("click", () => move(1));
$("look-back").addEventListener("click", () => move(1));
wire({ begin, keepNote, draw });
start(begin, refresh, () => {
  $("to-calls").hidden = greeting.calls === null || greeting.calls === undefined;
});
