"use strict";
// Pictures: a face or a whole selfie with its faces framed, the tools to look closer, and a worker's other selfies.

const share = (value, whole) => `${(100 * value) / whole}%`;

// A picture, or words where it is missing. `kind`: face, whole, or any other picture without frames.
function drawPicture(figure, data, kind, address, alt) {
  const missing = data.missing ? `missing_${data.missing}` : kind === "face" && data.has_face === false ? "missing_face" : null;
  if (missing) { figure.replaceChildren(element("div", word(missing), "gap")); return; }
  const frame = element("span", undefined, "frame"), picture = make("img", { src: address, alt });
  frame.append(picture);
  if (kind === "whole" && data.picture) {
    picture.width = data.picture.width;
    picture.height = data.picture.height;
  } else { picture.width = picture.height = 400; }
  figure.replaceChildren(frame);
  if (kind === "whole") drawBoxes(figure, data.picture);
}

// Frames of all faces in a whole picture, each with its number and role; of the face that was judged in bold. With `pick`
// each is a button, and `pick(index)` is called with the one that was chosen.
function drawBoxes(figure, picture, pick) {
  const frame = figure.querySelector(".frame");
  if (!frame || !picture) return;
  frame.querySelectorAll(".box").forEach((box) => box.remove());
  const faces = picture.faces ?? [], judged = judgedFace(picture);
  const boxes = faces.map(({ box, role }, at) => {
    const name = word("face_number", { number: at + 1, role: word(`role_${role}`) });
    const made = make(pick ? "button" : "span", { class: `box ${role}${at === judged ? " judged" : ""}`, type: pick && "button", "aria-label": pick && name },
      element("span", pick ? String(at + 1) : word(`role_${role}`), "tag"));
    if (pick) made.addEventListener("click", () => pick(at));
    return [made, box];
  });
  if (picture.face && judged < 0) boxes.push([element("span", undefined, "box judged"), picture.face]);
  for (const [made, [left, top, width, height]] of boxes) {
    made.style.left = share(left, picture.width);
    made.style.top = share(top, picture.height);
    made.style.width = share(width, picture.width);
    made.style.height = share(height, picture.height);
    frame.append(made);
  }
}
// The place of the judged face among all, or -1.
function judgedFace({ face, faces = [] }) {
  return face ? faces.findIndex(({ box }) => box.every((value, at) => Math.abs(value - face[at]) < 2)) : -1;
}
// The face that a digit key names, or -1.
function faceOfKey(event, picture) {
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
  return digit && digit <= (picture?.faces?.length ?? 0) ? digit - 1 : -1;
}

// How the two faces are looked at: both alike, but for the second, which can be mirrored.
const ZOOMS = [1, 1.5, 2, 3], LIGHTS = [1, 1.4, 1.8, 0.7];
const look = { zoom: 1, light: 1, mirrored: false, overlaid: false };

function drawLook() {
  const faces = $("pictures");
  faces.style.setProperty("--zoom", look.zoom);
  faces.style.setProperty("--light", look.light);
  faces.style.setProperty("--mirror", look.mirrored ? -1 : 1);
  faces.classList.toggle("zoomed", look.zoom > 1);
  faces.classList.toggle("overlaid", look.overlaid);
  const used = { zoom: look.zoom !== 1, light: look.light !== 1, mirror: look.mirrored, overlay: look.overlaid };
  for (const [name, on] of Object.entries(used)) $(`tool-${name}`).setAttribute("aria-pressed", String(on));
  $("zoom-now").textContent = look.zoom === 1 ? "" : `${look.zoom}×`;
  $("light-now").textContent = look.light === 1 ? "" : `${Math.round(100 * look.light)} %`;
  drawOverlay();
}
// The second face above the first, as far through as the slider says: both are cut out with the eyes at the same place.
function drawOverlay() {
  const sources = ["face-a", "face-b"].map((id) => $(id).querySelector("img")?.src), shown = look.overlaid && sources.every(Boolean);
  $("overlay").hidden = !shown;
  $("face-a").hidden = $("face-b").hidden = shown;
  if (!shown) { $("layers").replaceChildren(); return; }
  const images = sources.map((src, at) => make("img", { src, alt: at ? word("overlay_alt") : "", class: at ? "over" : "under", width: 400, height: 400 }));
  if (images.some(({ src }, at) => $("layers").children[at]?.src !== src)) $("layers").replaceChildren(...images);
  $("layers").lastElementChild.style.opacity = $("mix").value / 100;
}
function resetLook() {
  Object.assign(look, { zoom: 1, light: 1, mirrored: false, overlaid: false });
  $("mix").value = 50;
  moveLook(50, 50);
  drawLook();
}
function moveLook(x, y) {
  $("pictures").style.setProperty("--x", `${x}%`);
  $("pictures").style.setProperty("--y", `${y}%`);
}
const following = (list, now, back) => list[(list.indexOf(now) + (back ? list.length - 1 : 1)) % list.length];
function changeLook(change) {
  if (finished || !view) return;
  Object.assign(look, change);
  drawLook();
}
const LOOK_ACTS = {
  KeyZ: (event) => changeLook({ zoom: following(ZOOMS, look.zoom, event.shiftKey) }),
  KeyB: (event) => changeLook({ light: following(LIGHTS, look.light, event.shiftKey) }),
  KeyH: () => changeLook({ mirrored: !look.mirrored }),
  KeyO: () => { changeLook({ overlaid: !look.overlaid }); if (!$("overlay").hidden) $("mix").focus({ preventScroll: true }); },
  KeyR: resetLook,
};
function wireLook() {
  for (const [id, code] of Object.entries({ zoom: "KeyZ", light: "KeyB", mirror: "KeyH", overlay: "KeyO", reset: "KeyR" })) $(`tool-${id}`).addEventListener("click", LOOK_ACTS[code]);
  $("mix").addEventListener("input", drawOverlay);
  // What is magnified follows the pointer over either face, in both at once.
  for (const id of ["face-a", "face-b", "overlay"]) {
    $(id).addEventListener("pointermove", (event) => {
      const frame = event.target.closest(".frame")?.getBoundingClientRect();
      if (frame && look.zoom > 1) moveLook((100 * (event.clientX - frame.left)) / frame.width, (100 * (event.clientY - frame.top)) / frame.height);
    });
  }
}

// A worker's other selfies, as small pictures with time and verdict.
function selfieFigures(selfies, address) {
  return selfies.map(({ at, submission, captured_at, verdict }) => {
    const alt = word("selfie_alt", { submission });
    const caption = make("figcaption", {}, make("span", {}, time(captured_at)), " ", verdictBadge(verdict), " ", element("span", submission, "id"));
    return make("figure", { class: "small" }, make("img", { src: address(at), alt, loading: "lazy" }), caption);
  });
}
function verdictBadge(verdict) {
  return element("span", coded("verdict", verdict), `badge verdict-${verdict}`);
}
const selfiesDialog = () => dialog("selfies", "selfies", [make("p", { id: "selfies-where", "aria-live": "polite" }), make("div", { id: "selfies", class: "strip", tabindex: 0, role: "group", "aria-labelledby": "selfies-title" })], { wide: true });
function showSelfies(where, selfies, address) {
  $("selfies-where").textContent = selfies.length ? where : `${where} ${word("selfies_none")}`;
  $("selfies").replaceChildren(...selfieFigures(selfies, address));
  if (!$("selfies-dialog").open) $("selfies-dialog").showModal();
}

// Liveness in words with its number: of 0 (a picture) to 1 (a living face).
function liveness(value) {
  if (value === null || value === undefined) return element("span", word("live_unknown"));
  const [reject, review] = greeting.liveness ?? [0.5, 0.8];
  const name = value < reject ? "picture" : value < review ? "unsure" : "real";
  return make("span", { class: `live ${name}` }, element("strong", word(`live_${name}`)), ` (${value.toFixed(2)})`);
}
