"use strict";
// A person at once: all faces in one grid, by night and district; who does not belong is told apart in one act, who is
// one person is joined in one; and a graph of who is tied to whom, with the weakest tie named.

let person = null;
const SVG = "http://www.w3.org/2000/svg";
// So many ties at most are drawn; more are a black disc.
const DRAWN_TIES = 600;

function personDialog() {
  dialog("person", "person_grid_title", [
  make("p", { id: "person-text" }),
  make("p", { id: "person-said", role: "status", "aria-live": "polite" }),
  make("div", { id: "grid", role: "group", "aria-labelledby": "person-title" }),
  make("section", {}, spoken("h3", "ties"), make("p", { id: "weakest" }),
    make("div", { class: "ties" }, make("div", { id: "graph" }),
      make("div", { class: "sideways", tabindex: 0, role: "group", "data-label": "ties" }, make("table", { id: "ties" })))),
], { wide: true, footer: [
  make("span", { id: "chosen" }),
  keyed("person-different", "not_belong", "D", { class: "different" }),
  keyed("person-same", "are_one", "S", { class: "same" }),
  spoken("button", "close", { type: "button", id: "person-close" })] });
  const acts = { "person-different": () => decidePerson("different"), "person-same": () => decidePerson("same"), "person-close": () => $("person-dialog").close() };
  for (const [id, act] of Object.entries(acts)) $(id).addEventListener("click", act);
}

async function openPerson() {
  if (finished || !view || busy) return;
  $("person-said").textContent = "";
  if (!await loadPerson() || $("person-dialog").open) return;
  $("person-dialog").showModal();
  $("grid").querySelector("input")?.focus();
}
async function loadPerson() {
  try {
    person = await ask(`person/${current}?${mine()}`);
    drawPerson();
    return true;
  } catch (error) { speak(error.status === 404 ? word("person_none") : word("failed_look", { why: error.message })); return false; }
}

function drawPerson() {
  const { rank, members, hidden, ties } = person;
  const texts = [word("person_grid_text", { rank, size: members.length, ties: ties.length })];
  if (hidden) texts.push(word("person_hidden", { count: hidden }));
  $("person-text").textContent = texts.join(" ");
  drawGrid(members);
  drawGraph(members, ties);
  drawTies(ties);
  drawChosen();
}

// One group for each night and district, in the order of time.
function drawGrid(members) {
  const groups = new Map();
  for (const member of members) {
    const day = time(member.captured_at).slice(0, 10), name = [day, member.district].join(" · ") + (member.earlier_night ? ` (${word("earlier")})` : "");
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(member);
  }
  const order = [...groups].sort(([a], [b]) => a.localeCompare(b));
  $("grid").replaceChildren(...order.map(([name, list]) => make("fieldset", {}, make("legend", {}, name), make("div", { class: "strip" }, ...list.map(tile)))));
}
function tile(member) {
  const { at, submission, worker, captured_at } = member;
  const figure = element("figure");
  drawPicture(figure, member, "face", `person/${person.id}/picture/${at}/face`, "");
  figure.querySelector("img")?.setAttribute("loading", "lazy");
  const box = make("input", { type: "checkbox", value: at });
  box.addEventListener("change", drawChosen);
  return make("label", { class: "tile" }, figure,
    make("span", { class: "caption" }, box, " ", element("strong", String(at + 1)), " ", submission, make("br", {}), `${worker} · ${time(captured_at).slice(11, 16)}`));
}
const chosen = () => [...$("grid").querySelectorAll("input:checked")].map((box) => Number(box.value));
function drawChosen() {
  const count = chosen().length;
  $("chosen").textContent = word("chosen", { count });
  $("person-different").disabled = count === 0 || count === person.members.length || Boolean(state.stopped);
  $("person-same").disabled = count < 2 || Boolean(state.stopped);
  for (const node of $("graph").querySelectorAll("[data-at]")) node.classList.toggle("chosen", chosen().includes(Number(node.dataset.at)));
}

const tieNumbers = ({ a, b }) => `${a + 1} – ${b + 1}`;
const tieEvidence = ({ evidence }) => evidence.map(([name, weight]) => `${part(name)} ${weight > 0 ? "+" : ""}${weight.toFixed(1)}`.replace("-", "−")).join(", ");
function drawTies(ties) {
  const weakest = ties.find((tie) => tie.weakest);
  $("weakest").textContent = weakest
    ? word("weakest", { tie: tieNumbers(weakest), chance: percent(weakest.probability_false), evidence: tieEvidence(weakest) })
    : word("no_tie");
  const head = tableRow(["tie", "tie_similarity", "tie_chance", "tie_answer", "evidence"].map((name) => word(name)), true);
  // Those that are least sure first: they are the ones to look at.
  const order = [...ties].sort((a, b) => b.weakest - a.weakest || b.probability_false - a.probability_false);
  const rows = order.map((tie) => {
    const row = tableRow([tieNumbers(tie), tie.similarity.toFixed(2), percent(tie.probability_false), tie.answer ? element("span", word(tie.answer), `badge ${tie.answer}`) : "", tieEvidence(tie)]);
    if (tie.weakest) row.className = "weakest";
    return row;
  });
  $("ties").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}

// Members on a circle, in the order of the grid; thick lines are sure ties.
function drawGraph(members, ties) {
  $("graph").replaceChildren();
  if (!ties.length || ties.length > DRAWN_TIES) return;
  const svg = (tag, attributes) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const size = 320, middle = size / 2, radius = middle - 24, dot = Math.max(4, Math.min(13, 180 / members.length));
  const spot = members.map((_, at) => {
    const angle = (2 * Math.PI * at) / members.length - Math.PI / 2;
    return [middle + radius * Math.cos(angle), middle + radius * Math.sin(angle)];
  });
  const drawing = svg("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": word("graph_alt", { members: members.length, ties: ties.length }) });
  for (const tie of ties) {
    const [[x1, y1], [x2, y2]] = [spot[tie.a], spot[tie.b]];
    const width = Math.max(1, 4 * (1 - tie.probability_false));
    drawing.append(svg("line", { x1, y1, x2, y2, "stroke-width": tie.weakest ? 4 : width, class: `tie ${tie.answer ?? ""}${tie.weakest ? " weakest" : ""}` }));
  }
  members.forEach((member, at) => {
    const [cx, cy] = spot[at];
    const node = svg("g", { "data-at": member.at, class: `node${member.earlier_night ? " earlier" : ""}` });
    const label = svg("text", { x: cx, y: cy, dy: ".35em", "text-anchor": "middle" });
    label.textContent = dot > 7 ? at + 1 : "";
    node.append(svg("circle", { cx, cy, r: dot }), label);
    drawing.append(node);
  });
  $("graph").append(drawing);
}

async function decidePerson(given) {
  const members = chosen(), button = given === "same" ? "person-same" : "person-different";
  if (busy || $(button).disabled) return;
  const told = word(given === "same" ? "joined" : "parted", { count: members.length });
  const done = await send("person/decide", { item: person.id, members, answer: given, note: note() }, told);
  $("person-said").textContent = done ? told : word("failed", { why: failure });
  if (!done) return;
  drafts.delete(current);
  drawState();
  drawStanding();
  await loadPerson();
  $("grid").querySelector("input")?.focus();
}

// D and S answer, arrows go from face to face. True where a key was meant for the grid.
function personKey(event) {
  if (!$("person-dialog").open) return false;
  if (event.code === "KeyD") decidePerson("different");
  else if (event.code === "KeyS") decidePerson("same");
  else if (event.code === "KeyG") $("person-dialog").close();
  else if (event.code === "ArrowLeft" || event.code === "ArrowRight") {
    const boxes = [...$("grid").querySelectorAll("input")], now = boxes.indexOf(document.activeElement);
    boxes[Math.max(0, Math.min(boxes.length - 1, now + (event.code === "ArrowRight" ? 1 : -1)))]?.focus();
  } else return false;
  return true;
}
