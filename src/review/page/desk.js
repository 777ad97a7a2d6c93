"use strict";
// The queue of pairs: two memberships side by side, and whether they are one person.

const SIDES = ["a", "b"];
// While the member's face is being shown: on which side; by pair: what was shown, should the answer be sent again.
let picking = null;
const picked = new Map();

function drawRecord() {
  const [a, b] = view.sides;
  const when = (side) => time(side.captured_at) + (side.earlier_night ? ` (${word("earlier")})` : "");
  const found = { verdict: (s) => s.verdict && verdictBadge(s.verdict), reasons: (s) => s.reasons?.map((code) => coded("reason", code)).join("; "),
    detail: (s) => s.detail, member_liveness: (s) => s.verdict && liveness(s.member_liveness), worker_liveness: (s) => s.verdict && liveness(s.worker_liveness),
    member_doubt: (s) => s.member_doubt_percent > 0 && word("member_doubt_text", { percent: s.member_doubt_percent.toFixed(0) }) };
  const written = { district: (s) => s.district, worker: (s) => s.worker, captured_at: when, mobile: (s) => s.mobile, epic: (s) => s.epic,
    member_name: (s) => s.member_name, booth_id: (s) => s.booth_id, submission: (s) => s.submission };
  const rows = Object.entries({ ...found, ...written }).map(([name, get]) => {
    const [x, y] = [get(a), get(b)];
    if (!x && !y) return null;
    const row = tableRow([word(name), x || word("unknown"), y || word("unknown")]);
    // Masked numbers that look alike may differ in what is hidden: the evidence says, not the table.
    if (x === y && written[name] && !["mobile", "epic", "submission"].includes(name)) row.className = "equal";
    return row;
  });
  $("record").replaceChildren(...rows.filter(Boolean));
}

function drawEvidence() {
  const most = Math.max(1, ...view.evidence.map(([, weight]) => Math.abs(weight)));
  $("evidence").replaceChildren(...view.evidence.map(([name, weight]) => {
    const line = element("li", undefined, weight < 0 ? "against" : "for");
    const track = element("span"), bar = element("span", undefined, "weight"), number = (weight > 0 ? "+" : "") + weight.toFixed(1).replace("-", "−");
    bar.style.display = "block";
    bar.style.width = `${(100 * Math.abs(weight)) / most}%`;
    track.append(bar);
    line.append(element("span", part(name)), track, element("span", number, "amount"));
    return line;
  }));
  $("odds").textContent = word(`grade_${view.grade ?? "none"}`);
}

function drawView() {
  $("person").textContent = view.rank
    ? word("person", { rank: view.rank, size: view.size, districts: view.districts.join(", "), worth: word(`worth_${view.worth}`) })
    : word("between");
  SIDES.forEach((side, at) => ["face", "whole"].forEach((kind) => {
    const alt = word(`${kind}_alt`, { which: word(`which_${side}`) });
    drawPicture($(`${kind}-${side}`), view.sides[at], kind, `picture/${view.id}/${side}/${kind}`, alt);
  }));
  drawRecord();
  drawEvidence();
  drawLook();
  drawPick();
}

// The fourth answer: the same face, but on one side it is not the member. The member's face is shown by a click or its number.
function pickMember() {
  if (!ready() || state.stopped) return;
  const doubts = view.sides.map((side) => side.member_doubt_percent ?? 0), doubtful = doubts[1] > doubts[0] ? "b" : "a";
  picking = picking === null ? doubtful : picking === "a" ? "b" : "a";
  drawPick();
  $("pick-unknown").focus();
}
function drawPick() {
  $("pick").hidden = picking === null;
  document.body.classList.toggle("picking", picking !== null);
  SIDES.forEach((side, at) => {
    $(`whole-${side}`).classList.toggle("picked", picking === side);
    const { picture } = view.sides[at];
    drawBoxes($(`whole-${side}`), picture, picking !== null && ((face) => notMember(side, face)));
  });
  if (picking) $("pick-text").textContent = word("pick_text", { which: word(`which_${picking}`) });
}
function stopPicking() {
  if (picking === null) return;
  picking = null;
  if (view) drawPick();
}
function notMember(side, face) {
  const { picture } = view.sides[SIDES.indexOf(side)];
  if (face !== null && picture && judgedFace(picture) === face) { speak(word("pick_same")); return; }
  picked.set(current, { side, face });
  stopPicking();
  answer("not_member", { side, face });
}
function pickKey(event) {
  if (picking === null) return false;
  const { picture } = view.sides[SIDES.indexOf(picking)], face = faceOfKey(event, picture);
  if (face >= 0) notMember(picking, face);
  else if (event.code === "Escape") stopPicking();
  else if (event.code === "Enter" && !event.target.closest("button")) notMember(picking, null);
  else return false;
  return true;
}

function decide(given) { if (given === "not_member") pickMember(); else { stopPicking(); answer(given); } }
function again(said) {
  if (said !== "not_member") answer(said, {}, true);
  else if (picked.has(current)) answer(said, picked.get(current), true);
  else pickMember();
}

// The other selfies of the worker of one side; the same key again shows the other side's.
let selfiesSide = "a";
async function openSelfies(side = "a") {
  if (finished || !view) return;
  selfiesSide = side;
  const id = view.id, { worker } = view.sides[SIDES.indexOf(side)];
  try {
    const { selfies } = await ask(`worker/${id}/${side}?${mine()}`);
    showSelfies(word("selfies_where", { which: word(`which_${side}`), worker }), selfies, (at) => `worker/${id}/${side}/picture/${at}`);
  } catch (error) { speak(word("failed_look", { why: error.message })); }
}
function inDialog(event) {
  if (event.code === "KeyW" && $("selfies-dialog").open) { openSelfies(selfiesSide === "a" ? "b" : "a"); return true; }
  return personKey(event);
}

work({
  path: "", main: "pair", send: "decide", you: "you_said", held: "looked_at", finished: "finished_counts", disputed: "disputed_third",
  answers: { KeyJ: "same", KeyK: "not_sure", KeyL: "different", KeyI: "not_member" }, answer: decide, again,
  acts: { ...LOOK_ACTS, KeyF: () => document.body.classList.toggle("large"), KeyW: () => openSelfies(), KeyG: () => openPerson() },
  where: () => word("where", { at: place(current) + 1, total: state.total }),
  picking: pickKey, inDialog, drawView,
  leave: () => { picking = null; document.body.classList.remove("picking"); $("pick").hidden = true; resetLook(); },
  greeted: () => { $("work-open").hidden = !greeting.districts; },
  frame: { link: "./", title: "title", skip: "skip", who: "who_are_you", name_help: "name_help", note_help: "note_help", help_undo: "help_undo", help_move: "help_move",
    help: [[["J"], "help_same"], [["K"], "help_not_sure"], [["L"], "help_different"], [["I"], "help_not_member"], [["G"], "help_person"], [["W"], "help_selfies"],
      [["Z"], "help_zoom"], [["H"], "help_mirror"], [["B"], "help_light"], [["O"], "help_overlay"], [["R"], "help_reset"], [["F"], "help_large"]],
    explained: ["help_how", "help_blind"] },
});
selfiesDialog();
personDialog();
workDialog();
wireLook();
for (const [id, act] of Object.entries({ "selfies-open": () => openSelfies(), "person-open": () => openPerson(), "pick-side": pickMember,
  "pick-unknown": () => notMember(picking, null), "pick-cancel": stopPicking })) $(id).addEventListener("click", act);
