"use strict";
// Work for several: who has what, who is stopped and why, and the list of each by district or by share.

const DISTRICTS_ASKED = "assign-districts";

function workDialog() {
  const number = (id, label) => make("input", { id, type: "number", min: 1, max: 99, inputmode: "numeric", "data-label": label });
  dialog("work", "work_title", [
    make("p", { id: "work-said", role: "status", "aria-live": "polite" }),
    make("div", { class: "sideways", tabindex: 0, role: "group", "aria-labelledby": "work-title" }, make("table", { id: "people" })),
    spoken("h3", "assign_title"),
    make("div", { class: "assign" },
      make("label", {}, spoken("span", "assign_to"), " ", make("input", { id: "assign-to", maxlength: 40, autocomplete: "off", list: "assign-names" }), make("datalist", { id: "assign-names" })),
      make("fieldset", { id: DISTRICTS_ASKED }),
      make("fieldset", {}, spoken("legend", "assign_part"), number("part-of", "part_which"), " ", spoken("span", "part_of"), " ", number("part-all", "part_all"))),
    spoken("p", "assign_help", { class: "small" }),
  ], { wide: true, footer: [spoken("button", "assign", { type: "button", id: "assign" }), spoken("button", "close", { type: "button", id: "work-close" })] });
  $("work-open").addEventListener("click", openWork);
  $("work-close").addEventListener("click", () => $("work-dialog").close());
  $("assign").addEventListener("click", assign);
}

async function openWork() {
  try {
    drawWork(await ask(`work?${mine()}`));
    $("work-said").textContent = "";
    $("work-dialog").showModal();
  } catch (error) { speak(word("failed_look", { why: error.message })); }
}

function drawWork({ districts, people }) {
  const has = ({ districts: own, part: share }) => {
    const parts = [own.length ? own.join(", ") : null, share ? word("part_text", { which: share[0], all: share[1] }) : null].filter(Boolean);
    return parts.length ? parts.join("; ") : word("everything");
  };
  const head = tableRow(["name", "work_has", "work_answered", "work_left", "work_standing"].map((name) => word(name)), true);
  $("people").replaceChildren(make("thead", {}, head), make("tbody", {}, ...people.map((one) => tableRow([one.name, has(one), one.answered, one.left, standingOf(one)]))));
  $("assign-names").replaceChildren(...people.map(({ name }) => make("option", { value: name })));
  const before = new Set([...$(DISTRICTS_ASKED).querySelectorAll("input:checked")].map((box) => box.value));
  $(DISTRICTS_ASKED).replaceChildren(make("legend", {}, word("assign_districts")),
    ...districts.map((name) => make("label", { class: "choice" }, make("input", { type: "checkbox", value: name, checked: before.has(name) }), " ", name)));
}
// A reviewer who is stopped: why, and the two ways to go on, which are not for that reviewer.
function standingOf({ name, stopped }) {
  if (!stopped) return word("works");
  const cell = make("span", {}, word("stopped_why", stopped), " ");
  if (name === reviewer) return cell;
  for (const [label, keep] of [["look_keep", true], ["look_aside", false]]) {
    const button = element("button", word(label));
    button.type = "button";
    button.addEventListener("click", () => change("work/look", { to: name, keep }, word(keep ? "kept" : "set_aside", { name })));
    cell.append(button, " ");
  }
  return cell;
}

async function change(path, body, told) {
  try {
    drawWork(await ask(path, { reviewer, nonce: nonce(), ...body }));
    $("work-said").textContent = told;
    await refresh();
  } catch (error) { $("work-said").textContent = word("failed", { why: error.message }); }
}

function assign() {
  const to = $("assign-to").value.trim().replace(/\s+/g, " ");
  const districts = [...$(DISTRICTS_ASKED).querySelectorAll("input:checked")].map((box) => box.value);
  const [which, all] = ["part-of", "part-all"].map((id) => Number($(id).value));
  const isWrong = !to ? "name_wrong" : (which || all) && !(which >= 1 && all >= which) ? "part_wrong" : null;
  if (isWrong) { $("work-said").textContent = word(isWrong); return; }
  change("work/assign", { to, districts, part: all ? [which, all] : null }, word("assigned", { name: to }));
}
