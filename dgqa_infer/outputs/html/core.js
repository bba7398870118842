// Data, small helpers, and what a card of a photograph looks like. All that comes from photographs' names and
// from files is put into the page as text, never as markup.

const PAGE = { pictures: 60, table: 100 };
const [PATH, SCORE, RAW, SPREAD, WIDTH, HEIGHT, WARNINGS, DISTORTIONS, CODE, MESSAGE, GATE] = Array(11).keys();
const NO_FAULT = "no fault found";
const SEVERITIES = ["barely visible", "visible", "slightly annoying", "annoying", "very annoying"];
const byId = (id) => document.getElementById(id);
const part = (id) => JSON.parse(byId(id).textContent);
const rows = part("rows");
const report = part("report");
const pictures = part("pictures");

function make(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (name === "text") element.textContent = value;
    else if (name === "click") element.addEventListener("click", value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
const count = (number) => number.toLocaleString("en");
const short = (number) => (number < 1000 ? String(number) : number < 99500 ? `${(number / 1000).toFixed(number < 9950 ? 1 : 0)}k` : `${(number / 1e6).toFixed(1)}M`);
const photographs = (number) => `${count(number)} ${number === 1 ? "photograph" : "photographs"}`;
const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)} %`;
const plain = (code) => code.replaceAll("_", " ");

function colour(score) {
  const at = Math.min(Math.max(score / 100, 0), 1) * (report.colours.length - 1);
  const low = report.colours[Math.floor(at)];
  const high = report.colours[Math.ceil(at)];
  return low.map((value, channel) => Math.round(value + (high[channel] - value) * (at % 1)));
}
function pill(row) {
  if (row[SCORE] === null) return make("span", { class: "pill failed", text: "none" });
  const element = make("span", { class: "pill", text: row[SCORE].toFixed(1) });
  const [red, green, blue] = colour(row[SCORE]);
  element.style.background = `rgb(${red} ${green} ${blue})`;
  element.style.color = 0.3 * red + 0.59 * green + 0.11 * blue > 140 ? "#14171b" : "#fff";
  return element;
}

// What is wrong with a photograph, in words

function severity(found) {
  const value = found[2];
  return value === undefined ? "" : SEVERITIES[Math.min(Math.round(value), SEVERITIES.length - 1)];
}
function fault(found) {
  const words = severity(found);
  return report.names[found[0]] + (words ? `, ${words}` : "");
}
const WARNED = {
  not_a_photograph: "looks like a screenshot, a chart or an empty frame",
  jpeg_corrupt_data: "damaged: parts of the picture are made up",
  alpha_over_grey: "its transparent parts lie over grey",
};
// What was measured of it: the phrases of the shown ones come with them, as they may be beyond the table's end.
const shownWhy = new Map(report.shown.map((each) => [each.place, each.why]));
const measured = (place) => shownWhy.get(place) ?? (report.why[place] ?? []).map((each) => report.phrases[each]);

const warningsOf = (row) => (row[WARNINGS] ?? "").split(", ").filter(Boolean);

function reasons(row, place, faults) {
  if (row[CODE]) return [plain(row[CODE])];
  const warned = warningsOf(row).map((code) => WARNED[code]).filter(Boolean);
  const found = [...faults.map(fault), ...warned, ...measured(place)];
  return found.length || !row[DISTORTIONS] ? found : [NO_FAULT];
}

// Marked photographs, by their paths in the order in which they were marked

const marked = new Set();

function mark(path) {
  if (!marked.delete(path)) marked.add(path);
  for (const card of document.querySelectorAll(".photos button")) card.classList.toggle("marked", marked.has(card.path));
  byId("mark").setAttribute("aria-pressed", marked.has(album.all[album.at]?.row[PATH]));
  byId("marked").hidden = !marked.size;
  byId("marked-count").textContent = `${photographs(marked.size)} marked`;
  byId("marked-names").value = [...marked].join("\n");
}
async function copyMarked() {
  const names = byId("marked-names");
  byId("marked-list").open = true;
  names.select();
  try {
    await navigator.clipboard.writeText(names.value);
  } catch {
    document.execCommand("copy");
  }
  byId("copied").textContent = `${photographs(marked.size)} copied`;
}

// A card, and a grid of them that arrows walk through

function card(entry, all) {
  const { row, place } = entry;
  const seen = pictures[place];
  const inside = seen
    ? make("img", { src: seen.thumb ?? seen.photo, alt: "" })
    : make("span", { class: "none", text: "no picture" });
  const name = make("span", { class: "name", text: row[PATH].split("/").pop(), title: row[PATH] });
  const words = reasons(row, place, (row[DISTORTIONS] ?? []).slice(0, 1)).join(" · ").replaceAll(" %", "\u00a0%");
  const why = make("span", { class: "why", text: words, title: words });
  const open = () => view(all(), all().findIndex((each) => each.row === row));
  const button = make("button", { type: "button", click: open }, make("span", { class: "frame" }, inside), pill(row), name, why);
  button.path = row[PATH];
  button.classList.toggle("marked", marked.has(row[PATH]));
  return make("li", {}, button);
}
function walk(event) {
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const beside = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (buttons[beside]) buttons[beside].focus();
  else if (event.key === "x") mark(buttons[at].path);
  else return;
  event.preventDefault();
}
function gallery(section, places) {
  byId(section).hidden = !places.length;
  const list = byId(section).querySelector(".photos");
  const all = places.map((each) => report.shown[each]);
  list.append(...all.map((entry) => card(entry, () => all)));
  list.addEventListener("keydown", walk);
}
