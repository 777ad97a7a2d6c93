"use strict";
// The list that a page works through. An item is left only after the desk has confirmed that the answer is on the disk.

let state = null, current = null, view = null, shownAt = 0, busy = false, finished = false, undoing = null;
// By item: words not sent yet; by request: the nonce, so that the same one sent again after a lost reply counts once.
const drafts = new Map(), pending = new Map();
// What differs from page to page, given to `work`.
let page = null;

const place = (id) => state.items.findIndex((item) => item.id === id);
const item = () => state && state.items[place(current)];
const note = () => drafts.get(current) ?? item()?.note ?? null;
// The item on the screen can be answered now.
const ready = () => !busy && !finished && view && current && view.id === current;

function drawState() {
  if (!state) return;
  const { done, total, left, later, per_hour } = state;
  $("bar").max = Math.max(total, 1);
  $("bar").value = done;
  const counts = [word("counts", { done, total, left })];
  if (per_hour) counts.push(word("rate", { rate: Math.round(per_hour) }));
  if (later) counts.push(word("later", { later }));
  $("counts").textContent = counts.join(" · ");
  $("who").textContent = reviewer;
  const notices = [];
  if (state.stopped) notices.push(word("stopped", state.stopped));
  if (failure) notices.push(word("failed", { why: failure }));
  if (greeting.without_dump) notices.push(word("without_dump", { file: greeting.without_dump }));
  if (state.torn) notices.push(word("torn"));
  if (state.elsewhere) notices.push(word("elsewhere", { count: state.elsewhere }));
  if (state.disputes) notices.push(word("disputes", { count: state.disputes }));
  // Only what is new is drawn, so that a screen reader does not hear the same again every few seconds.
  if ($("notices").textContent !== notices.join("")) $("notices").replaceChildren(...notices.map((text) => element("p", text)));
  $("finished-counts").textContent = word(page.finished, { mine: state.mine, total, later });
  for (const button of document.querySelectorAll("[data-answer]")) button.disabled = Boolean(state.stopped);
  page.drawState?.();
}

function drawStanding() {
  const now = item(), parts = [];
  const badge = (answer) => element("span", word(answer), `badge ${answer}`);
  if (now?.mine) parts.push(word(page.you), " ", badge(now.mine), " ");
  for (const [name, answer] of now?.by ?? []) parts.push(word("others_said", { name }), " ", badge(answer), " ");
  const disagree = now?.mine && page.disputed && (now.by ?? []).some(([, answer]) => answer !== now.mine);
  if (now?.disputed || disagree) parts.push(word(now.mine ? "disputed" : page.disputed), " ");
  parts.push(...(page.standing?.(now) ?? []));
  if (now?.held) parts.push(word(page.held));
  if (note()) parts.push(" ", word("has_note", { note: note() }));
  const made = element("p");
  made.append(...parts);
  if ($("standing").textContent !== made.textContent) $("standing").replaceChildren(...made.childNodes);
  for (const button of document.querySelectorAll("[data-answer]")) {
    button.setAttribute("aria-pressed", String(now?.mine === button.dataset.answer));
  }
}

function draw() {
  drawWords();
  drawState();
  $("finished").hidden = !finished;
  $(page.main).hidden = finished || !view;
  if (finished || !view) return;
  $("where").textContent = page.where();
  drawStanding();
  page.drawView();
}

async function show(id) {
  current = id;
  finished = false;
  page.leave?.();
  try {
    const fetched = await ask(`${page.path}item/${id}?${mine()}`);
    if (current !== id) return;
    view = fetched;
    shownAt = Date.now();
    failure = null;
  } catch (error) { failure = error.message; }
  draw();
  window.scrollTo(0, 0);
}

// The next item to answer after the one shown; one that another holds only when nothing else is left.
async function advance() {
  const from = Math.max(place(current), -1), { items } = state;
  const order = [...items.slice(from + 1), ...items.slice(0, from + 1)];
  const next = order.find((i) => i.open && !i.held) ?? order.find((i) => i.open);
  if (next) return show(next.id);
  finished = true;
  page.leave?.();
  draw();
  $("finished").focus();
}

// Sends what changes something, and takes the list that comes back. False where it was not recorded.
async function send(path, body, told) {
  if (state?.stopped) { speak(word("stopped", state.stopped)); return false; }
  busy = true;
  const key = JSON.stringify([path, body]);
  if (!pending.has(key)) pending.set(key, nonce());
  try {
    const looked = body.answer && body.item && !body.members ? { looked_ms: Date.now() - shownAt } : {};
    state = await ask(path, { reviewer, nonce: pending.get(key), ...body, ...looked, ...page.fields?.() });
    pending.delete(key);
    failure = null;
    speak(told);
    return true;
  } catch (error) {
    failure = error.message;
    if (error.status === 409) await refreshNow().catch(() => {});
    drawState();
    return false;
  } finally { busy = false; }
}

// One answer to the item on the screen.
async function answer(given, fields = {}, stay = false) {
  if (!ready()) return;
  const id = current;
  if (!await send(page.path + page.send, { item: id, answer: given, note: note(), ...fields }, word("recorded", { answer: word(given) }))) return;
  drafts.delete(id);
  page.answered?.(id, stay);
  if (stay) draw(); else await advance();
}

async function undo() {
  if (busy) return;
  busy = true;
  try {
    undoing ||= nonce();
    state = await ask(`${page.path}undo`, { reviewer, nonce: undoing, ...page.fields?.() });
    undoing = failure = null;
    speak(word("taken_back"));
    const id = state.changed && place(state.changed) >= 0 ? state.changed : current;
    busy = false;
    if (id) await show(id); else draw();
  } catch (error) {
    if (error.status === 409 && !error.hasWords) { undoing = null; speak(word("nothing_to_undo")); } else { failure = error.message; drawState(); }
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
  $("note-input").value = note() ?? "";
  $("note-dialog").showModal();
  $("note-input").focus();
}
function keepNote() {
  drafts.set(current, $("note-input").value.trim());
  $("note-dialog").close();
  const said = item()?.mine;
  if (said) page.again(said); else { speak(word("note_kept")); drawStanding(); }
}

async function refreshNow() {
  const fresh = await ask(`${page.path}state?${mine()}${page.query?.() ?? ""}`);
  state = fresh;
}
async function refresh() {
  if (!reviewer || busy || document.hidden) return;
  try {
    const fresh = await ask(`${page.path}state?${mine()}${page.query?.() ?? ""}`);
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
    await refreshNow();
    reviewer = state.reviewer;
    storeHere("reviewer", reviewer);
    if ($("name-dialog").open) $("name-dialog").close();
    current = null;
    if (!await page.begun?.()) await advance();
  } catch (error) {
    $("name-error").textContent = error.status === 400 ? word("name_wrong") : error.message;
    if (!$("name-dialog").open) { $("name-dialog").showModal(); $("name-input").focus(); }
  }
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) { if (page.inDialog?.(event)) event.preventDefault(); return; }
  // A slider keeps its arrows, a field of text all its keys, but for Escape.
  const field = event.target.closest("input, textarea, select");
  if (field && field.type !== "range") return;
  if (field && /^(Arrow|Home|End|Page)/.test(event.code)) return;
  // By the key's place, so that a Hindi keyboard has them too.
  const act = { KeyU: undo, KeyN: openNote, ArrowLeft: () => move(-1), ArrowRight: () => move(1), ...page.acts }[event.code];
  if (page.picking?.(event)) { event.preventDefault(); return; }
  if (event.key === "?") $("help-dialog").showModal();
  else if (page.answers[event.code] && !event.repeat && !event.shiftKey) page.answer(page.answers[event.code]);
  else if (act && (!event.repeat || event.code.startsWith("Arrow"))) act(event);
  else return;
  event.preventDefault();
}

// Begins: with the name that is known, or by asking for one.
async function work(given) {
  page = given;
  drawFrame(page.frame);
  wireFrame({ begin, keepNote, draw });
  document.addEventListener("keydown", pressed);
  for (const button of document.querySelectorAll("[data-answer]")) button.addEventListener("click", () => page.answer(button.dataset.answer));
  for (const [id, act] of Object.entries({ undo, note: openNote, back: () => move(-1), next: () => move(1), "look-back": () => move(1) })) $(id).addEventListener("click", act);
  const chosen = stored("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
  const greeted = ask("desk").then((known) => { greeting = known; }, (error) => { failure = error.message; });
  await Promise.all([loadWords(FALLBACK), loadWords(language), greeted]);
  await Promise.all((greeting.languages ?? []).map(loadWords));
  if (!(greeting.languages ?? [language]).includes(language)) language = FALLBACK;
  drawWords();
  $("promise-open").hidden = !greeting.promise;
  $("to-rows").hidden = page.frame.link === "rows" || !greeting.rows;
  $("to-calls").hidden = page.frame.link === "calls" || greeting.calls === null || greeting.calls === undefined;
  page.greeted?.();
  const name = greeting.reviewer ?? storedHere("reviewer");
  if (name) await begin(name); else { $("name-dialog").showModal(); $("name-input").focus(); }
  setInterval(refresh, 5000);
}
