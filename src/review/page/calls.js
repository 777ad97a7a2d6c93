"use strict";
// The queue of calls: the members of a sample, to be called or visited.

const ANSWERS = ["confirmed", "denied", "wrong_data", "undelivered", "silent"];
const TOLD = ["in_person", "live", "first_time"], TOLD_KEYS = { KeyQ: "in_person", KeyW: "live", KeyE: "first_time" };
// By member: what was said of worker, picture and enrolments, and numbers that were shown.
const told = new Map(), numbers = new Map();

const said = () => told.get(current) ?? item()?.said ?? [null, null, null];
// Both kinds of list have the same questions but the first.
const visit = () => state?.channel === "visit";

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
  const values = { member_name: view.member_name, booth_id: view.booth_id, district: view.district, worker: view.worker,
    captured_at: time(view.captured_at), mobile: view.mobile, epic: view.epic, submission: view.submission };
  $("record").replaceChildren(...Object.entries(values).map(([name, value]) => tableRow([word(name), value || word("unknown")])));
  $("ask-0").textContent = word(visit() ? "ask_0_visit" : "ask_0");
  $("ask-1").textContent = word("ask_1", { name: view.member_name || word("somebody") });
  $("ask-2").textContent = word("ask_2", { name: view.member_name || word("unknown"), booth: view.booth_id || word("unknown"), district: view.district || word("unknown") });
}

function drawView() {
  for (const kind of ["face", "whole"]) {
    drawPicture($(kind), view, kind, `calls/picture/${view.id}/${kind}`, word(`${kind}_member_alt`));
  }
  drawRecord();
  drawTold();
  drawNumber();
}

function standing(now) {
  const parts = [];
  if (now?.silent) parts.push(word("tries", { count: now.silent }), " ");
  if (now?.again_at) parts.push(word("again", { at: new Date(now.again_at).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" }) }), " ");
  return parts;
}

const facts = () => Object.fromEntries(TOLD.map((name, at) => [name, said()[at]]));
function answered(id, stay) {
  told.delete(id);
  // A number is on the screen no longer than its call.
  if (!stay) numbers.delete(id);
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

const keys = ANSWERS.flatMap((name, at) => [[`Digit${at + 1}`, name], [`Numpad${at + 1}`, name]]);
work({
  path: "calls/", main: "member", send: "answer", you: "you_wrote", held: "called_now", finished: "finished_calls",
  answers: Object.fromEntries(keys), answer: (given) => answer(given, facts()), again: (given) => answer(given, facts(), true), answered,
  acts: { KeyM: showNumber, ...Object.fromEntries(Object.entries(TOLD_KEYS).map(([code, name]) => [code, () => turn(name)])) },
  where: () => word(visit() ? "where_visit" : "where_call", { at: place(current) + 1, total: state.total }),
  standing, drawView,
  frame: { link: "calls", title: "calls_title", skip: "skip_member", who: "who_calls", name_help: "name_calls_help", note_help: "note_call_help",
    help_undo: "help_undo_call", help_move: "help_move_calls",
    help: [...ANSWERS.map((name, at) => [[at + 1], `help_${name}`]), [["Q", "W", "E"], "help_told"], [["M"], "help_number"]], explained: ["help_calls"] },
});
for (const button of document.querySelectorAll("[data-told]")) button.addEventListener("click", () => turn(button.dataset.told));
$("number").addEventListener("click", showNumber);
