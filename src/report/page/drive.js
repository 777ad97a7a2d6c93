// Places and workers: lists that are opened step by step, and a page for each worker.
const drive = data("drive-data");
const LEVELS = ["division", "district", "sector", "mandalam", "booth", "worker"];
const VERDICTS = ["accept", "retake", "review", "reject", "unreadable"];
const fold = (name) => name.trim().toLowerCase().split(/\s+/).join(" ");
const nameOf = (leaf, level) => drive.names[leaf[0][level]];
const shareOf = (count, all) => all ? count / all : null;
const workerLink = (id) => make("a", { href: "#worker=" + encodeURIComponent(id) }, id);

const sum = (leaves) => {
  const total = { n: 0, v: [0, 0, 0, 0, 0], spoofs: 0, again: 0, quality: 0, fake: 0, variance: 0, leaves };
  for (const [, v, spoofs, again, quality, fake, variance] of leaves) {
    v.forEach((count, at) => { total.v[at] += count; total.n += count; });
    total.spoofs += spoofs; total.again += again; total.quality += quality;
    total.fake += fake; total.variance += variance;
  }
  total.held = total.n - total.v[0];
  return total;
};
const groups = (leaves, level) => {
  const found = new Map();
  for (const leaf of leaves) {
    const key = leaf[0][level];
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(leaf);
  }
  return [...found].map(([key, own]) => ({ name: drive.names[key], ...sum(own) }));
};
// Flagged memberships that are expected to be fake, with the 95 % interval of that sum.
const fakes = (total) => {
  const reach = 1.96 * Math.sqrt(total.variance);
  return [total.fake, Math.max(0, total.fake - reach), Math.min(total.n, total.fake + reach)].map(Math.round);
};
const fakesText = (total) => { const [mean, low, high] = fakes(total); return low === high ? grouped(mean) : `${grouped(mean)} (${grouped(low)}–${grouped(high)})`; };
// How much of a unit's was held back in earlier nights together.
// A division is the sum of its districts.
const before = (unit, name, leaves) => {
  const names = unit === "division" ? [...new Set(leaves.map((leaf) => fold(nameOf(leaf, 1))))] : [fold(name)];
  const nights = names.flatMap((one) => (drive.before[unit === "division" ? "district" : unit] || {})[one] || []);
  if (!nights.length) return null;
  return shareOf(nights.reduce((s, [, , held]) => s + held, 0), nights.reduce((s, [, all]) => s + all, 0));
};
// The target of a place; of a wider one without its own, the sum of the targets within.
const targetOf = (level, name, leaves) => {
  const at = { 0: 0, 1: 1, 4: 2 }[level];
  if (at === undefined) return null;
  const exact = drive.targets.filter(([places]) => places[at] && fold(places[at]) === fold(name) && places.slice(at + 1).every((p) => !p));
  const inside = drive.targets.filter(([places]) => places[at] && fold(places[at]) === fold(name));
  const booths = new Set(leaves.map((leaf) => fold(nameOf(leaf, 4))));
  const below = drive.targets.filter(([places]) => places[2] && booths.has(fold(places[2])));
  const taken = exact.length ? exact : inside.length ? inside : below;
  return taken.length ? taken.reduce((s, [, number]) => s + number, 0) : null;
};

// A table with columns that sort, and pages of its rows.
const grid = (host, caption, columns, size) => {
  const state = { rows: [], page: 0, by: null, down: false };
  const show = () => {
    if (state.by !== null) {
      const { value } = columns[state.by];
      const order = (x, y) => { const [a, b] = [value(x) ?? -Infinity, value(y) ?? -Infinity]; return a < b ? -1 : a > b ? 1 : 0; };
      state.rows.sort((x, y) => (state.down ? -1 : 1) * order(x, y));
    }
    const last = Math.max(0, Math.ceil(state.rows.length / size) - 1);
    state.page = Math.min(state.page, last);
    const head = columns.map((column, at) => {
      const button = make("button", { type: "button" }, say("span", column.key));
      button.addEventListener("click", () => {
        state.down = state.by === at ? !state.down : Boolean(column.num);
        state.by = at; state.page = 0; show();
        host.querySelectorAll("thead button")[at].focus();
      });
      return make("th", { scope: "col", class: column.num && "num", "aria-sort": state.by === at && (state.down ? "descending" : "ascending") }, button);
    });
    const cell = (column, row, at) => {
      const inner = column.cell ? column.cell(row) : column.value(row);
      return at === 0 ? make("th", { scope: "row" }, inner) : make("td", { class: column.num && "num" }, inner ?? "");
    };
    const line = (row) => make("tr", {}, columns.map((column, at) => cell(column, row, at)));
    const table = make("table", { class: "cards" }, make("caption", {}, say("span", caption, {}, [grouped(state.rows.length)])),
      make("thead", {}, make("tr", {}, head)),
      make("tbody", {}, state.rows.slice(state.page * size, (state.page + 1) * size).map(line)));
    table.everything = () => [columns.map((c) => text(c.key)), ...state.rows.map((row) => columns.map((c) => {
      const found = c.csv ? c.csv(row) : c.value(row);
      return found ?? "";
    }))];
    const go = (to, key, off) => {
      const button = say("button", key, { type: "button", disabled: off });
      button.addEventListener("click", () => { state.page = to; show(); });
      return button;
    };
    const bar = last === 0 ? null : make("div", { class: "pager" }, go(state.page - 1, "previous", state.page === 0),
      say("span", "page", {}, [grouped(state.page + 1), grouped(last + 1)]), go(state.page + 1, "next", state.page === last));
    host.replaceChildren(make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": text(caption, [""]) }, table), ...(bar ? [bar] : []));
    dress(table);
  };
  return { set(rows) { state.rows = rows; state.page = 0; show(); } };
};

const numberColumn = (key, value, more) => ({ key, num: true, value, cell: (row) => { const v = value(row); return v === null ? "–" : grouped(v); }, ...more });
const shareColumn = (key, value) => ({ key, num: true, value, cell: (row) => { const v = value(row); return v === null ? "–" : percent(v); }, csv: (row) => { const v = value(row); return v === null ? "" : (100 * v).toFixed(1); } });
const counted = [
  numberColumn("submissions", (row) => row.n), numberColumn("v.accept", (row) => row.v[0]),
  shareColumn("held", (row) => shareOf(row.held, row.n)),
];

// Places, from the widest to the worker.
let path = [];
const inPath = () => drive.leaves.filter((leaf) => path.every(([level, name]) => fold(nameOf(leaf, level)) === fold(name)));
const nextLevel = (leaves, from) => {
  for (let level = from; level < 6; level++) if (leaves.some((leaf) => nameOf(leaf, level))) return level;
  return 6;
};
const placeHash = (steps) => "#place=" + steps.map(([level, name]) => LEVELS[level] + ":" + encodeURIComponent(name)).join("/");
const showPlaces = () => {
  const host = $("drill");
  if (!host) return;
  const leaves = inPath();
  const level = nextLevel(leaves, path.length ? path[path.length - 1][0] + 1 : 0);
  const all = sum(leaves);
  const crumbs = make("p", { class: "crumbs" }, make("a", { href: "#place=" }, say("span", "the.drive")),
    path.map(([at, name], step) => [" › ", make("a", { href: placeHash(path.slice(0, step + 1)) }, name || text("not.given")), " ", say("small", LEVELS[at])]));
  const facts = [["submissions", grouped(all.n)], ["v.accept", grouped(all.v[0])], ["held", percent(shareOf(all.held, all.n))], ["fakes", fakesText(all)]];
  if (drive.fee > 0) facts.push(["fee", "₹ " + grouped(Math.round(all.fake * drive.fee))]);
  const line = make("dl", { class: "line" }, facts.map(([key, value]) => make("div", {}, say("dt", key), make("dd", {}, value))));
  const table = make("div", {});
  host.replaceChildren(crumbs, line, table);
  if (level === 6) return;
  const rows = groups(leaves, level).map((row) => ({ ...row, target: targetOf(level, row.name, row.leaves) }));
  const columns = [
    { key: LEVELS[level], value: (row) => fold(row.name), csv: (row) => row.name, cell: (row) => !row.name ? say("span", "not.given")
      : level === 5 ? workerLink(row.name) : make("a", { href: placeHash([...path, [level, row.name]]) }, row.name) },
    ...counted,
    shareColumn("peer.rate", (row) => shareOf(all.held - row.held, all.n - row.n)),
  ];
  if (drive.nights.length && ["division", "district", "booth", "worker"].includes(LEVELS[level])) columns.push(shareColumn("usual", (row) => before(LEVELS[level], row.name, row.leaves)));
  columns.push(numberColumn("spoofs", (row) => row.spoofs), numberColumn("duplicates", (row) => row.again), numberColumn("again", (row) => row.quality),
    { key: "fakes", num: true, value: (row) => row.fake, cell: fakesText, csv: (row) => row.fake.toFixed(2) });
  if (drive.fee > 0) columns.push(numberColumn("fee", (row) => Math.round(row.fake * drive.fee)));
  if (rows.some((row) => row.target !== null)) columns.push(numberColumn("target", (row) => row.target), shareColumn("won", (row) => row.target ? row.v[0] / row.target : null));
  const list = grid(table, "c.drill", columns, 30);
  rows.sort((x, y) => shareOf(y.held, y.n) - shareOf(x.held, x.n) || y.n - x.n);
  list.set(rows);
};

// All workers.
const workers = groups(drive.leaves.filter((leaf) => nameOf(leaf, 5)), 5).map((row) => {
  const home = drive.homes[fold(row.name)];
  const outside = home && home[1] ? sum(row.leaves.filter((leaf) => nameOf(leaf, 4) && fold(nameOf(leaf, 4)) !== fold(home[1]))).n : 0;
  const most = groups(row.leaves, 1).sort((x, y) => y.n - x.n)[0];
  return { ...row, outside, home, district: most ? most.name : "", flags: drive.flags[fold(row.name)] || [] };
});
const flagText = (row) => row.flags.map(([reason, q]) => make("span", { class: "stand" }, say("span", reason === "any" ? "any" : "r." + reason), " ", make("small", {}, "q " + q)));
if ($("everyone")) {
  const columns = [
    { key: "worker", value: (row) => row.name.toLowerCase(), csv: (row) => row.name, cell: (row) => [workerLink(row.name), row.home && row.home[0] ? make("small", {}, " " + row.home[0]) : null] },
    { key: "district", value: (row) => row.district },
    ...counted,
    numberColumn("spoofs", (row) => row.spoofs), numberColumn("duplicates", (row) => row.again), numberColumn("again", (row) => row.quality),
    ...(Object.keys(drive.homes).length ? [numberColumn("outside", (row) => row.outside)] : []),
    ...(drive.nights.length ? [shareColumn("usual", (row) => before("worker", row.name))] : []),
    { key: "stands.out", value: (row) => -row.flags.length, csv: (row) => row.flags.map(([reason]) => reason).join(" "), cell: flagText },
  ];
  const list = grid($("everyone"), "c.everyone", columns, 25);
  const find = $("who"), which = $("which");
  const narrow = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kinds = { "": () => true, flags: (row) => row.flags.length, quality: (row) => row.quality, outside: (row) => row.outside };
    const places = (row) => [row.name, row.home && row.home[0], ...row.leaves.flatMap((leaf) => leaf[0].map((at) => drive.names[at]))].join("\n").toLowerCase();
    list.set(workers.filter((row) => kinds[which.value](row) && (!words.length || words.every((word) => places(row).includes(word))))
      .sort((x, y) => y.flags.length - x.flags.length || y.held - x.held || y.n - x.n));
  };
  find.addEventListener("input", narrow);
  which.addEventListener("change", narrow);
  $("workers-filter").addEventListener("submit", (event) => event.preventDefault());
  narrow();
}

// One worker.
const showWorker = (id) => {
  const section = $("worker"), host = $("worker-body");
  const row = workers.find((one) => fold(one.name) === fold(id));
  section.hidden = !row;
  if (!row) return;
  $("worker-name").textContent = row.name + (row.home && row.home[0] ? " · " + row.home[0] : "");
  const own = new Set(row.leaves);
  const sent = drive.rows.filter(([leaf]) => own.has(drive.leaves[leaf]));
  const places = [...new Set(row.leaves.map((leaf) => leaf[0].slice(0, 5).map((at) => drive.names[at]).filter(Boolean).join(" › ")))];
  const facts = [["submissions", grouped(row.n)], ["held", percent(shareOf(row.held, row.n))], ["fakes", fakesText(row)], ["places", places.slice(0, 4).join("; ")]];
  if (row.home && row.home[1]) facts.push(["home.booth", row.home[1]], ["outside", grouped(row.outside)]);
  const counts = new Map();
  for (const [, , , , reasons] of sent) for (const reason of reasons) counts.set(reason, (counts.get(reason) || 0) + 1);
  const why = [...counts].sort((x, y) => y[1] - x[1]).map(([reason, count]) => ({ code: drive.reasons[reason], reason, count }));
  const advice = [...new Set(why.filter((one) => drive.quality.includes(one.reason)).map((one) => "a." + one.code))];
  const nights = ((drive.before.worker || {})[fold(row.name)] || []).map(([night, all, held]) => ({ name: drive.nights[night], n: all, held }));
  nights.push({ name: "", n: row.n, held: row.held });
  const [reasonsTable, trendTable, selfies] = [make("div", {}), make("div", {}), make("div", {})];
  host.replaceChildren(
    make("dl", { class: "line" }, facts.map(([key, value]) => make("div", {}, say("dt", key), make("dd", {}, value)))),
    row.flags.length ? make("p", {}, say("strong", "stands.out"), ": ", flagText(row)) : "",
    advice.length ? make("div", { class: "tell" }, say("h3", "advice"), make("ul", {}, advice.map((key) => make("li", {}, say("span", key))))) : "",
    make("div", { class: "two" }, reasonsTable, trendTable), selfies);
  grid(reasonsTable, "c.why", [
    { key: "reason", value: (one) => one.code, cell: (one) => say("span", "r." + one.code) },
    numberColumn("count", (one) => one.count), shareColumn("share", (one) => shareOf(one.count, row.n))], 40).set(why);
  const meter = (one) => [make("meter", { min: 0, max: 1, value: String(shareOf(one.held, one.n) ?? 0), "aria-label": text("held") }), " ", percent(shareOf(one.held, one.n))];
  grid(trendTable, "c.trend", [{ key: "night", value: (one) => one.name, cell: (one) => one.name || say("span", "this") }, numberColumn("submissions", (one) => one.n),
    { key: "held", num: true, value: (one) => shareOf(one.held, one.n), cell: meter }], 40).set(nights);
  grid(selfies, drive.rows.length < drive.all ? "c.selfies.held" : "c.selfies", [
    { key: "submission", value: (one) => one[1] },
    { key: "taken", value: (one) => one[2] || "" },
    { key: "verdict", value: (one) => one[3], csv: (one) => VERDICTS[one[3]], cell: (one) => say("span", "v." + VERDICTS[one[3]], { class: "v " + VERDICTS[one[3]] }) },
    { key: "h.reasons", value: (one) => one[4].length, csv: (one) => one[4].map((at) => drive.reasons[at]).join(" "),
      cell: (one) => one[4].map((at, place) => [place ? "; " : "", say("span", "r." + drive.reasons[at])]) }], 50).set(sent.sort((x, y) => y[3] - x[3] || (x[2] || "").localeCompare(y[2] || "")));
};

const route = () => {
  const hash = location.hash;
  if (hash.startsWith("#worker=")) {
    showWorker(decodeURIComponent(hash.slice(8)));
    $("worker").scrollIntoView({ block: "start", behavior: "instant" });
    $("worker-name").focus();
  } else if (hash.startsWith("#place=")) {
    path = hash.slice(7).split("/").filter(Boolean).map((step) => { const cut = step.indexOf(":"); return [LEVELS.indexOf(step.slice(0, cut)), decodeURIComponent(step.slice(cut + 1))]; }).filter(([level]) => level >= 0);
    showPlaces();
    $("places").scrollIntoView({ block: "start", behavior: "instant" });
  }
};
addEventListener("hashchange", route);
showPlaces();
