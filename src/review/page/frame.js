"use strict";
// What stands around each page: the head with its links, and the dialogs that all pages have.

const PAGES = [["./", "pairs_link", "to-pairs"], ["rows", "rows_link", "to-rows"], ["calls", "calls_link", "to-calls"]];

const spoken = (tag, name, attributes = {}) => make(tag, { "data-word": name, ...attributes });
const key = (name) => element("kbd", name);

// A button with its key and its word.
function keyed(id, name, letter, attributes = {}) {
  return make("button", { type: "button", id, ...attributes }, key(letter), " ", spoken("span", name));
}

// A dialog with a heading. `footer` are its buttons; without any it has one that closes it.
function dialog(id, title, children, { wide = false, footer } = {}) {
  const close = spoken("button", "close", { type: "button", id: `${id}-close` });
  close.addEventListener("click", () => $(`${id}-dialog`).close());
  const made = make("dialog", { id: `${id}-dialog`, class: wide && "wide", "aria-labelledby": `${id}-title` },
    spoken("h2", title, { id: `${id}-title` }), ...children, make("p", { class: "actions" }, ...(footer ?? [close])));
  document.body.append(made);
  return made;
}

// Head, notices and dialogs of a page. `page`: link (whose own is not shown), title, skip, who, name_help, note_help,
// help: [keys, word] of each line, explained: words below them.
function drawFrame(page) {
  const links = PAGES.map(([href, name, id]) => spoken("a", name, { href, id, hidden: href !== "./" || page.link === href }));
  const head = make("header", {},
    make("h1", {}, make("span", { lang: "hi" }, "चेहरा"), " ", spoken("span", page.title)),
    make("div", { class: "progress" }, make("progress", { id: "bar", value: 0, max: 1, "aria-labelledby": "counts" }), make("span", { id: "counts" })),
    make("nav", { "data-label": "pages" }, ...links,
      spoken("button", "promise", { type: "button", id: "promise-open", hidden: true }),
      spoken("button", "work", { type: "button", id: "work-open", hidden: true }),
      make("span", { id: "who" }),
      make("button", { type: "button", id: "language" }),
      spoken("button", "theme", { type: "button", id: "theme" }),
      make("button", { type: "button", id: "help-open" }, spoken("span", "help"), " ", key("?"))));
  const main = document.querySelector("main");
  document.body.prepend(spoken("a", page.skip, { class: "skip", href: `#${main.id}` }), head, make("div", { id: "notices", role: "alert" }));

  dialog("name", page.who, [spoken("p", page.name_help),
    make("label", {}, spoken("span", "name"), " ", make("input", { id: "name-input", maxlength: 40, autocomplete: "off" })),
    make("p", { class: "error", id: "name-error", role: "alert" })],
    { footer: [spoken("button", "begin", { type: "button", id: "name-save" })] });
  dialog("note", "note", [make("textarea", { id: "note-input", rows: 4, maxlength: 2000, "aria-labelledby": "note-title" }), spoken("p", page.note_help, { class: "small" })],
    { footer: [spoken("button", "cancel", { type: "button", id: "note-cancel" }), spoken("button", "keep", { type: "button", id: "note-save" })] });
  const lines = [...page.help, [["U"], page.help_undo], [["N"], "help_note"], [["←", "→"], page.help_move], [["?"], "help_help"]];
  dialog("help", "help", [
    make("dl", {}, ...lines.flatMap(([keys, name]) => [make("dt", {}, ...keys.flatMap((name) => [key(name), " "])), spoken("dd", name)])),
    ...page.explained.map((name) => spoken("p", name))]);
  const sideways = (title, id) => make("div", { class: "sideways", tabindex: 0, role: "group", "aria-labelledby": title }, make("table", { id }));
  dialog("promise", "promise_title", [make("p", { id: "promise-sure" }), sideways("promise-title", "promises"),
    spoken("h3", "worth_title", { id: "worth-title" }), sideways("worth-title", "worth")], { wide: true });
}

// What may be promised of the drive, and what its detectors are worth: read anew each time, for calls go on.
async function showPromise() {
  try {
    drawPromise(await ask("promise"));
    $("promise-dialog").showModal();
  } catch (error) { speak(word("failed", { why: error.message })); }
}
function drawPromise(record) {
  const rate = ({ estimate, low, high }) => (estimate === null ? "" : `${percent(estimate)} (${percent(low)} – ${percent(high)})`);
  const table = (head, rows) => [make("thead", {}, tableRow(head.map((name) => word(name)), true)), make("tbody", {}, ...rows.map((row) => tableRow(row)))];
  $("promise-sure").textContent = word("promise_sure", { confidence: percent(record.goal.confidence) });
  $("promises").replaceChildren(...table(["promise_place", "promise_members", "promise_calls", "promise_at_most", "promise_more"],
    record.promises.map(({ level, name, members, calls, share }) => [level === "drive" ? word("promise_drive") : name, members, calls,
      calls ? percent(share.high) : word("promise_none"), share.more_calls || ""])));
  $("worth").replaceChildren(...table(["worth_detector", "worth_judged", "worth_finds", "worth_promised", "worth_right", "worth_promised"],
    record.detectors.map(({ detector, judged, rates, promised }) => [word(`detector_${detector}`), judged,
      rate(rates.recall), percent(promised?.recall), rate(rates.precision), percent(promised?.precision)])));
}

// Buttons and keys of the dialogs.
function wireFrame({ begin, keepNote, draw }) {
  $("help-open").addEventListener("click", () => $("help-dialog").showModal());
  $("promise-open").addEventListener("click", showPromise);
  $("note-save").addEventListener("click", keepNote);
  $("note-cancel").addEventListener("click", () => $("note-dialog").close());
  $("note-input").addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) { event.preventDefault(); keepNote(); } });
  $("name-save").addEventListener("click", () => begin($("name-input").value));
  $("name-input").addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); begin($("name-input").value); } });
  $("name-dialog").addEventListener("cancel", (event) => event.preventDefault());
  $("theme").addEventListener("click", theme);
  $("language").addEventListener("click", async () => {
    await loadWords(nextLanguage());
    language = nextLanguage();
    store("language", language);
    $("last").textContent = "";
    draw();
  });
}
