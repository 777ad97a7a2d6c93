"use strict";
(() => {
const $ = (id) => document.getElementById(id);
const data = (id) => JSON.parse($(id).textContent);
const texts = data("texts"), persons = data("persons-data"), spoofs = data("spoofs-data");
let pictures = null;
let lang = "en";
const root = document.documentElement;

// What was chosen is kept where the browser allows it; a file may not be allowed to.
const kept = {
  get(key) { try { return localStorage.getItem("chehra." + key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem("chehra." + key, value); } catch { /* not kept */ } },
};

const text = (key, args) => {
  const both = texts[key];
  const found = both ? both[lang === "hi" ? 1 : 0] : key;
  return args ? found.replace(/\{(\d)\}/g, (whole, at) => args[at] ?? whole) : found;
};

// Everything from the dump goes through textContent and attributes set by name, never through markup.
const make = (tag, props, ...children) => {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) node.append(child);
  return node;
};
const say = (tag, key, props, args) => {
  const node = make(tag, props, text(key, args));
  node.dataset.t = key;
  if (args) node.dataset.a = JSON.stringify(args);
  return node;
};

const translate = () => {
  root.lang = lang;
  document.title = text("title") + " · " + document.querySelector("title").dataset.run;
  for (const node of document.querySelectorAll("[data-t]"))
    node.textContent = text(node.dataset.t, node.dataset.a && JSON.parse(node.dataset.a));
  for (const node of document.querySelectorAll("[data-tl]")) node.setAttribute("aria-label", text(node.dataset.tl));
  for (const node of document.querySelectorAll("[data-talt]"))
    node.alt = text(node.dataset.talt, JSON.parse(node.dataset.alta));
  for (const button of document.querySelectorAll("[data-lang]"))
    button.setAttribute("aria-pressed", String(button.dataset.lang === lang));
  for (const table of document.querySelectorAll("table.cards")) label(table);
};

// On a phone each row is a card, and each cell says what it is.
const label = (table) => {
  const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
  for (const row of table.tBodies[0].rows)
    [...row.cells].forEach((cell, at) => { cell.dataset.h = heads[at] || ""; });
};
// A table as a file that spreadsheets open, in Hindi too: with a byte order mark, and no cell that is taken for a formula.
const csv = (rows) => "\ufeff" + rows.map((row) => row.map((cell) => {
  const plain = String(cell).replace(/\s+/g, " ").trim();
  const safe = /^[=+\-@]/.test(plain) && Number.isNaN(Number(plain)) ? "'" + plain : plain;
  return /[",;]/.test(safe) ? '"' + safe.replace(/"/g, '""') + '"' : safe;
}).join(",")).join("\r\n") + "\r\n";
const dress = (table) => {
  label(table);
  const button = make("button", { type: "button", class: "csv" }, "CSV");
  button.addEventListener("click", () => {
    const shown = () => [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent));
    const url = URL.createObjectURL(new Blob([csv(table.everything ? table.everything() : shown())], { type: "text/csv" }));
    const name = table.caption.firstChild.textContent.replace(/[^\p{L}\p{M}\p{N}]+/gu, "-").slice(0, 60);
    make("a", { href: url, download: name + ".csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  });
  table.caption.append(" ", button);
};

const percent = (share) => share === null ? "" :
  share > 0 && share < 0.001 ? "< 0.1 %" : (100 * share).toFixed(share < 0.0995 ? 1 : 0) + " %";
const grouped = (number) => number.toLocaleString("en-IN");

const picture = (at) => {
  if (at === null || at < 0) return null;
  pictures = pictures || data("pictures-data");
  return "data:image/jpeg;base64," + pictures[at];
};

// Cards of a list that paper has; all of a list that is no longer.
const MOST_ON_PAPER = 300;

// A list that is made page by page: only what is shown exists.
const pagers = {};
const paged = (name, size, items, card) => {
  const state = { page: 0, items };
  const list = $(name + "-list");
  const bars = document.querySelectorAll(`.pager[data-for="${name}"]`);
  const note = make("p", { class: "paper" });
  list.after(note);
  const show = (focus, onPaper) => {
    const last = Math.max(0, Math.ceil(state.items.length / size) - 1);
    state.page = Math.min(Math.max(state.page, 0), last);
    const first = onPaper ? 0 : state.page * size;
    const shown = state.items.slice(first, first + (onPaper ? MOST_ON_PAPER : size));
    note.replaceChildren(onPaper && shown.length < state.items.length
      ? say("span", "paper.part", {}, [grouped(shown.length), grouped(state.items.length)]) : "");
    list.replaceChildren(...shown.map(card));
    const status = $(name + "-status");
    const args = [shown.length ? grouped(first + 1) : "0", grouped(first + shown.length), grouped(state.items.length)];
    status.replaceChildren(say("span", "showing", {}, args));
    for (const bar of bars) {
      const go = (to, key, off) => {
        const button = say("button", key, { type: "button", disabled: off });
        button.addEventListener("click", () => { state.page = to; show(true); });
        return button;
      };
      bar.hidden = last === 0;
      bar.replaceChildren(
        go(0, "first", state.page === 0), go(state.page - 1, "previous", state.page === 0),
        say("span", "page", {}, [grouped(state.page + 1), grouped(last + 1)]),
        go(state.page + 1, "next", state.page === last), go(last, "last", state.page === last));
    }
    if (focus) {
      const heading = list.querySelector("h3");
      if (heading) { heading.tabIndex = -1; heading.focus(); heading.scrollIntoView({ block: "center" }); }
    }
  };
  pagers[name] = { filter(items) { state.items = items; state.page = 0; show(false); }, show };
  show(false);
};

const member = (one, at) => {
  const src = picture(one.p);
  const image = src
    ? make("img", { src, width: 128, height: 128, alt: text("alt.face", [one.s]), "data-talt": "alt.face", "data-alta": JSON.stringify([one.s]) })
    : say("div", one.v === null ? "picture.earlier" : one.p === null ? "picture.none" : "picture.broken", { class: "empty" });
  const line = (value) => value ? make("span", {}, value) : null;
  return make("li", { class: "face" }, image,
    make("b", {}, `${at + 1}. ${one.s}`),
    one.v === null ? say("span", "night.earlier") : say("span", "v." + one.v, { class: "v " + one.v }),
    one.o ? say("span", "original") : null,
    line(one.d), line(one.k), line(one.t), line(one.m ? "☎ " + one.m : ""), line(one.e ? "EPIC " + one.e : ""));
};

// "face 9.1, same worker 1.2" -> one label each, in the reader's language.
const parts = (evidence) => make("div", { class: "parts" }, evidence.split(", ").map((part) => {
  const cut = part.lastIndexOf(" ");
  const name = part.slice(0, cut), weight = Number(part.slice(cut + 1));
  const label = texts["e." + name] ? say("span", "e." + name) : make("span", {}, name);
  const [sign, digits] = [weight > 0 ? "+" : "−", Math.abs(weight).toFixed(1)];
  return make("span", { class: "part " + (weight > 0 ? "for" : "against"), title: sign + digits }, sign + " ", label);
}));

const personCard = (one) => {
  const heading = make("h3", {}, one.r ? one.r + ". " : "", say("span", "w." + one.w));
  const rows = one.l.map(([a, b, grade, evidence, decision]) => make("tr", {},
    make("th", { scope: "row" }, `${a + 1} – ${b + 1}`), make("td", {}, say("span", "g." + grade)), make("td", {}, decision ? say("span", "d." + decision, { class: "tag" }) : null, parts(evidence))));
  const more = (count, key) => count > 0 ? say("p", key, { class: "note" }, [grouped(count)]) : null;
  return make("li", {}, make("article", { class: "card" },
    make("header", {}, heading,
      say("span", "memberships", { class: "tag" }, [grouped(one.n)]),
      one.x ? say("span", "cross", { class: "tag" }) : null,
      one.f === null ? null : say("span", "g." + one.f, { class: "tag" }),
      make("span", { class: "id" }, one.i)),
    make("ul", { class: "faces" }, one.m.map(member)),
    more(one.n - one.m.length, "more.members"),
    rows.length ? make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": text("evidence"), "data-tl": "evidence" },
      make("table", { class: "links" }, say("caption", "c.links", {}, [grouped(rows.length), grouped(one.a)]),
      make("thead", {}, make("tr", {}, say("th", "pair", { scope: "col" }), say("th", "sure", { scope: "col" }),
        say("th", "evidence", { scope: "col" }))),
      make("tbody", {}, rows))) : null));
};

const frame = (one) => {
  const src = picture(one.p);
  if (!src) return say("div", one.p === null ? "picture.none" : "picture.broken", { class: "frame empty" });
  const [width, height] = one.z;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of [["viewBox", `0 0 ${width} ${height}`], ["aria-hidden", "true"], ["preserveAspectRatio", "none"]]) svg.setAttribute(key, value);
  for (const [x, y, w, h, , live] of one.f) {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ x, y, width: Math.max(w, 0), height: Math.max(h, 0) })) rect.setAttribute(key, value);
    if (live !== null && live >= spoofs.limit) rect.setAttribute("class", "fine");
    svg.append(rect);
  }
  return make("div", { class: "frame" },
    make("img", { src, width, height, alt: text("alt.selfie", [one.s]), "data-talt": "alt.selfie", "data-alta": JSON.stringify([one.s]) }), svg);
};

const spoofCard = (one) => make("li", {}, make("article", { class: "card" }, frame(one),
  make("h3", {}, one.s || "–"),
  make("dl", {},
    one.f.map(([, , , , role, live]) => [say("dt", "role." + role), make("dd", {}, live === null ? "–" : percent(live))]),
    say("dt", "verdict"), make("dd", {}, say("span", "v." + one.v, { class: "v " + one.v })),
    say("dt", "worker"), make("dd", {}, one.k || "–"),
    say("dt", "district"), make("dd", {}, one.d || "–"))));

if ($("persons-list")) {
  paged("persons", 20, persons, personCard);
  const find = $("find"), kind = $("kind");
  const folded = persons.map((one) => [one.i, ...one.m.flatMap((m) => [m.s, m.k, m.d])].join("\n").toLowerCase());
  let waiting = 0;
  const narrow = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    pagers.persons.filter(persons.filter((one, at) =>
      (!kind.value || one.w === kind.value) && words.every((word) => folded[at].includes(word))));
  };
  find.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(narrow, 120); });
  kind.addEventListener("change", narrow);
  $("persons-filter").addEventListener("submit", (event) => event.preventDefault());
}
if ($("spoofs-list")) paged("spoofs", 24, spoofs.list, spoofCard);

/* drive.js */

// Tables that sort by a click on a heading.
const worth = (cell) => {
  const plain = cell.textContent.replace(/,/g, "").trim();
  const number = parseFloat(plain.replace(/^[<>]\s*/, ""));
  return cell.classList.contains("num") ? (Number.isNaN(number) ? -1 : number) : plain.toLowerCase();
};
for (const table of document.querySelectorAll("table.sort")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : head.classList.contains("num");
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map((row) => [worth(row.cells[column]), row]);
      rows.sort(([x], [y]) => (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
}

for (const table of document.querySelectorAll("table.sort, table.plain")) dress(table);

for (const button of document.querySelectorAll("[data-lang]"))
  button.addEventListener("click", () => { lang = button.dataset.lang; kept.set("lang", lang); translate(); });
const theme = $("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
const showTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; kept.set("theme", root.dataset.theme); showTheme(); });
dark.addEventListener("change", showTheme);
$("print").addEventListener("click", () => window.print());
addEventListener("beforeprint", () => Object.values(pagers).forEach((pager) => pager.show(false, true)));
addEventListener("afterprint", () => Object.values(pagers).forEach((pager) => pager.show(false)));
if (["light", "dark"].includes(kept.get("theme"))) root.dataset.theme = kept.get("theme");
showTheme();
// What was chosen, else what the browser is set to.
if ((kept.get("lang") || navigator.language || "").startsWith("hi")) { lang = "hi"; translate(); }
route();
root.dataset.ready = "yes";
})();
