"use strict";
// The queues of rows: was the audit right to reject this selfie, or to ask about it? And what members say against it.

const ROW_ANSWERS = ["uphold", "overturn", "retake", "pass"];
let queue = storedHere("queue") ?? "", picking = false;
// By row: the member's face as it was shown; it goes with the answer.
const members = new Map();

function drawQueues() {
  queue = state.queue;
  storeHere("queue", queue);
  const focused = document.activeElement?.dataset?.queue;
  $("queues").replaceChildren(...state.queues.map(({ queue: name, total, left, disputed }) => {
    const tab = make("button", { type: "button", "data-queue": name, "aria-pressed": String(name === queue) }, word(`queue_${name}`), " ", element("span", `${left} / ${total}`, "count"));
    if (disputed) tab.append(" ", element("span", word("disputed_count", { count: disputed }), "badge same"));
    tab.addEventListener("click", () => openQueue(name));
    return tab;
  }));
  if (focused) $("queues").querySelector(`[data-queue="${focused}"]`)?.focus();
  $("find").placeholder = word("find_label");
  $("next-queue").hidden = !nextQueue();
}
async function openQueue(name) {
  if (busy) return;
  queue = name;
  current = view = null;
  finished = false;
  try { await refreshNow(); await advance(); } catch (error) { failure = error.message; drawState(); }
}
// The next queue after this one that has something left.
function nextQueue() {
  const names = state.queues.map(({ queue: name }) => name), at = names.indexOf(queue);
  return [...names.slice(at + 1), ...names.slice(0, at)].find((name) => state.queues[names.indexOf(name)].left);
}
function openNextQueue() { if (state && nextQueue()) openQueue(nextQueue()); }

// Any row of the run by its submission, for an appeal.
async function findRow(submission) {
  if (!submission.trim()) return;
  try {
    const { id } = await ask(`rows/find?submission=${encodeURIComponent(submission.trim())}&${mine()}`);
    await show(id);
    // It may stand in another queue than the one on the screen.
    if (!item() && view) { queue = view.queue; await refreshNow(); draw(); }
    $("row").focus({ preventScroll: true });
  } catch (error) { speak(error.status === 404 ? word("find_none", { submission }) : word("failed_look", { why: error.message })); }
}

function standing(now) {
  const parts = [];
  const face = members.get(current);
  if (face !== undefined) parts.push(word("member_shown", { number: face + 1 }), " ");
  if (!now && view) parts.push(word("row_outside"), " ");
  return parts;
}

// A picture beside the selfie with a caption, hidden where there is none.
function beside(name, has, data, caption) {
  const figure = $(name);
  figure.hidden = !has;
  if (!has) return;
  drawPicture(figure, data, name === "twin" ? "whole" : name, `rows/picture/${view.id}/${name}`, caption);
  figure.append(element("figcaption", caption));
}

function drawPictures() {
  drawPicture($("whole"), view, "whole", `rows/picture/${view.id}/whole`, word("whole_row_alt"));
  beside("face", true, view, word("face_row_alt"));
  beside("reference", view.has_reference, {}, word("reference_alt", { worker: view.worker }));
  const likeness = view.photo_similarity == null ? "" : ` ${word("photo_likeness", { likeness: view.photo_similarity.toFixed(2) })}`;
  beside("photo", view.has_photo, {}, word("photo_alt") + likeness);
  const twin = view.twin;
  beside("twin", twin, twin ?? {}, twin ? word("twin_alt", { submission: [twin.submission, twin.worker, twin.district, time(twin.captured_at)].filter(Boolean).join(", ") }) : "");
  // A few here; all behind their key.
  $("latest").replaceChildren(...selfieFigures(view.selfies.slice(0, 4), selfieAddress));
  $("latest-part").hidden = !view.selfies.length;
  drawPick();
}
const selfieAddress = (at) => `rows/picture/${view.id}/worker/${at}`;

function drawFound() {
  $("verdict").replaceChildren(verdictBadge(view.verdict));
  $("reasons").textContent = view.reasons.map((code) => coded("reason", code)).join(" · ");
  $("detail").textContent = view.detail ?? "";
  const quality = typeof view.quality === "number" ? view.quality.toFixed(2) : null;
  const measures = { member_liveness: view.member_liveness != null && liveness(view.member_liveness), worker_liveness: view.worker_liveness != null && liveness(view.worker_liveness), quality };
  $("measures").replaceChildren(...Object.entries(measures).filter(([, value]) => value).map(([name, value]) => tableRow([word(name), value])));
  const { decided } = view;
  const family = decided?.disputed ? "decided_disputed" : decided?.answer && (decided.appeal ? "decided_appeal" : "decided_by_now");
  $("decided").textContent = family ? word(family, { answer: decided.answer && word(decided.answer), people: decided.people }) : "";
  $("appeal-open").hidden = view.verdict === "accept";
  $("letters").replaceChildren(...(greeting.languages ?? [FALLBACK]).flatMap((code) => [make("a", { href: `letter/${view.id}?language=${code}`, target: "_blank", rel: "noopener", lang: code }, NAMES[code] ?? code), " "]));
  $("appeal-part").hidden = !view.appeal;
  if (view.appeal) {
    $("appeal-text").textContent = view.appeal.text;
    $("appeal-by").textContent = word("appeal_by", { name: view.appeal.by, at: time(view.appeal.at).slice(0, 16) });
  }
}

function drawView() {
  drawPictures();
  drawFound();
  const record = { submission: view.submission, member_name: view.member_name, worker: view.worker, district: view.district, booth_id: view.booth_id,
    captured_at: time(view.captured_at), mobile: view.mobile, epic: view.epic };
  $("record").replaceChildren(...Object.entries(record).map(([name, value]) => tableRow([word(name), value || word("unknown")])));
}

// Which face is the member, where the audit took another for it: shown by a click or its number.
function drawPick() {
  $("pick").hidden = !picking;
  document.body.classList.toggle("picking", picking);
  drawBoxes($("whole"), view.picture, picking && correctMember);
}
function pickMember() {
  if (!ready() || !view.picture?.faces?.length) return;
  picking = !picking;
  drawPick();
  if (picking) $("pick-cancel").focus();
}
function stopPicking() {
  if (!picking) return;
  picking = false;
  if (view) drawPick();
}
function correctMember(face) {
  stopPicking();
  if (judgedFace(view.picture) === face && view.picture.faces[face].role === "member") { members.delete(current); speak(word("member_same")); drawStanding(); return; }
  members.set(current, face);
  const said = item()?.mine;
  if (said) answerRow(said, true); else { speak(word("member_kept", { number: face + 1 })); drawStanding(); }
}
function pickKey(event) {
  if (!picking) return false;
  const face = faceOfKey(event, view.picture);
  if (face >= 0) correctMember(face);
  else if (event.code === "Escape" || event.code === "KeyM") stopPicking();
  else return false;
  return true;
}

function answerRow(given, stay = false) {
  stopPicking();
  if (!item()) { speak(word("row_outside")); return; }
  answer(given, members.has(current) ? { face: members.get(current) } : {}, stay);
}

function openSelfies() {
  if (finished || !view) return;
  showSelfies(word("selfies_of", { worker: view.worker }), view.selfies, selfieAddress);
}

function appealDialog() {
  const save = spoken("button", "appeal_save", { type: "button", id: "appeal-save" }), cancel = spoken("button", "cancel", { type: "button", id: "appeal-cancel" });
  dialog("appeal", "appeal_file", [spoken("p", "appeal_help"), make("p", { id: "appeal-of" }),
    make("textarea", { id: "appeal-input", rows: 5, maxlength: 2000, "aria-labelledby": "appeal-title" }), make("p", { class: "error", id: "appeal-error", role: "alert" })], { footer: [cancel, save] });
  cancel.addEventListener("click", () => $("appeal-dialog").close());
  save.addEventListener("click", fileAppeal);
  $("appeal-input").addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) { event.preventDefault(); fileAppeal(); } });
}
function openAppeal() {
  if (!ready() || view.verdict === "accept") return;
  $("appeal-of").textContent = [view.submission, view.member_name, coded("verdict", view.verdict)].filter(Boolean).join(" · ");
  $("appeal-input").value = "";
  $("appeal-error").textContent = "";
  $("appeal-dialog").showModal();
  $("appeal-input").focus();
}
async function fileAppeal() {
  const text = $("appeal-input").value.trim();
  if (!text || busy) { $("appeal-error").textContent = text ? "" : word("appeal_empty"); return; }
  const id = current;
  if (!await send("rows/appeal", { item: id, text }, word("appeal_filed"))) { $("appeal-error").textContent = word("failed", { why: failure }); return; }
  $("appeal-dialog").close();
  await show(id);
}

work({
  path: "rows/", main: "row", send: "decide", you: "you_said", held: "row_looked_at", finished: "finished_counts", disputed: "disputed_third",
  query: () => `&queue=${encodeURIComponent(queue)}`, fields: () => ({ queue }),
  answers: Object.fromEntries(ROW_ANSWERS.flatMap((name, at) => [[`Digit${at + 1}`, name], [`Numpad${at + 1}`, name]])),
  answer: answerRow, again: (said) => answerRow(said, true), answered: (id) => members.delete(id),
  acts: { KeyM: pickMember, KeyW: openSelfies, KeyA: openAppeal, KeyQ: openNextQueue },
  where: () => (item() ? word("where_row", { at: place(current) + 1, total: state.items.length }) : word("where_found", { submission: view.submission })),
  standing, drawView, drawState: drawQueues, picking: pickKey,
  inDialog: (event) => { if (event.code !== "KeyW" || !$("selfies-dialog").open) return false; $("selfies-dialog").close(); return true; },
  leave: () => { picking = false; document.body.classList.remove("picking"); $("pick").hidden = true; },
  greeted: () => { $("work-open").hidden = !greeting.districts; },
  frame: { link: "rows", title: "rows_title", skip: "skip_row", who: "who_are_you", name_help: "name_help", note_help: "note_row_help", help_undo: "help_undo", help_move: "help_move",
    help: [...ROW_ANSWERS.map((name, at) => [[at + 1], `help_${name}`]), [["M"], "help_member"], [["W"], "help_selfies"], [["A"], "help_appeal"], [["Q"], "help_queue"]],
    explained: ["help_rows", "help_blind_rows"] },
});
selfiesDialog();
appealDialog();
workDialog();
for (const [id, act] of Object.entries({ member: pickMember, "selfies-open": openSelfies, "appeal-open": openAppeal, "pick-cancel": stopPicking, "next-queue": openNextQueue })) $(id).addEventListener("click", act);
$("find-form").addEventListener("submit", (event) => { event.preventDefault(); findRow($("find").value); });
