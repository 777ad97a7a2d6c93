"use strict";
// What all pages of the desk share: words, elements, requests. Every text goes in as text, never as markup.

const $ = (id) => document.getElementById(id);
// By code: texts, names of the parts of the evidence, and what the language calls itself.
const WORDS = {}, PARTS = {}, NAMES = {};
const FALLBACK = "en";
let language = stored("language") || (navigator.language.startsWith("hi") ? "hi" : FALLBACK);
let reviewer = "", greeting = {}, failure = null;

function stored(name) { try { return sessionStorage.getItem(name) || localStorage.getItem(name); } catch { return null; } }
function store(name, value) { try { sessionStorage.setItem(name, value); localStorage.setItem(name, value); } catch { /* private window */ } }
function storeHere(name, value) { try { sessionStorage.setItem(name, value); } catch { /* private window */ } }
function storedHere(name) { try { return sessionStorage.getItem(name); } catch { return null; } }

async function loadWords(code) {
  if (WORDS[code]) return;
  try {
    const file = await ask(`words/${code}.json`);
    [WORDS[code], PARTS[code], NAMES[code]] = [file.words, file.parts, file.language_name];
  } catch (error) { failure = error.message; }
}

function word(name, values = {}) {
  const text = WORDS[language]?.[name] ?? WORDS[FALLBACK]?.[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}
// What a part of the evidence is called; as the run wrote it where the language has no word for it.
const part = (name) => PARTS[language]?.[name] ?? name;
// A code of the audit in words: `coded("reason", "no_face")`.
function coded(family, code) {
  const name = `${family}_${code}`, text = word(name);
  return text === name ? code : text;
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}
// An element with attributes and children; texts among the children go in as text.
function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
// Rows of a table: the first cell of each heads it.
function tableRow(cells, isHead = false) {
  return make("tr", {}, ...cells.map((cell, at) => {
    const isName = isHead || at === 0;
    return make(isName ? "th" : "td", { scope: isName && (isHead ? "col" : "row") }, cell instanceof Node ? cell : String(cell ?? ""));
  }));
}

const time = (instant) => (instant ?? "").replace("T", " ").replace("Z", "");
const percent = (share) => (share === null || share === undefined ? "" : `${(100 * share).toFixed(1)} %`);
function nonce() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

async function ask(path, body) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  let answer;
  try { answer = await fetch(path, options); } catch { throw new Error(word("offline")); }
  if (answer.status === 403) throw new Error(word("gone"));
  if (!answer.ok) {
    const text = await answer.text(), error = new Error(text || String(answer.status));
    error.status = answer.status;
    error.hasWords = text !== "";
    throw error;
  }
  return answer.json();
}
const mine = () => `reviewer=${encodeURIComponent(reviewer)}`;
function speak(text) { $("last").textContent = text; }

function drawWords() {
  document.documentElement.lang = language;
  for (const spot of document.querySelectorAll("[data-word]")) spot.textContent = word(spot.dataset.word);
  for (const spot of document.querySelectorAll("[data-label]")) spot.setAttribute("aria-label", word(spot.dataset.label));
  const next = nextLanguage();
  $("language").textContent = NAMES[next] ?? next;
  $("language").lang = next;
  $("language").hidden = next === language;
}

// The languages take turns at one button, each by the name that it calls itself.
function nextLanguage() {
  const codes = greeting.languages ?? [FALLBACK, "hi"];
  return codes[(codes.indexOf(language) + 1) % codes.length];
}

function theme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  store("theme", document.documentElement.dataset.theme);
}
