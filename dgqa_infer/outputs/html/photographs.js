// All photographs, as pictures or as a table: searched, sorted, turned page by page.

const remarks = (row, place) =>
  [
    row[CODE] ? `${plain(row[CODE])}: ${row[MESSAGE]}` : "",
    row[GATE] && row[GATE].length ? `gate: ${row[GATE].join(", ")}` : "",
    ...(row[CODE] ? [] : reasons(row, place, row[DISTORTIONS] ?? [])),
    warningsOf(row).filter((code) => !WARNED[code]).join(", "),
  ]
    .filter(Boolean)
    .join(" · ");
const columns = [
  { id: "order", title: "#", help: "the order of the run", numeric: true, key: (row, place) => place, text: (row, place) => count(place + 1) },
  { id: "score", title: "Score", help: "0 is worst, 100 is best", numeric: true, key: (row) => row[SCORE] },
  { id: "spread", title: "Spread", help: "how much quality differs from place to place in the photograph", numeric: true, key: (row) => row[SPREAD], text: (row) => row[SPREAD]?.toFixed(2) ?? "" },
  { id: "path", title: "Photograph", key: (row) => row[PATH] },
  { id: "size", title: "Pixels", numeric: true, key: (row) => (row[WIDTH] ? row[WIDTH] * row[HEIGHT] : null), text: (row) => (row[WIDTH] ? `${row[WIDTH]} × ${row[HEIGHT]}` : "") },
  { id: "remarks", title: "What is wrong", key: remarks, text: remarks },
];
const nothing = { text: "", kind: "all", low: null, high: null };
const state = { ...nothing, column: "score", down: false, page: 0, found: [], as: 2 * Object.keys(pictures).length < rows.length ? "table" : "pictures" };

function fits(row, needle) {
  if (needle && !row[PATH].toLowerCase().includes(needle)) return false;
  if (state.low !== null && !(row[SCORE] !== null && row[SCORE] >= state.low)) return false;
  // The upper end of a bar belongs to the next one; that of the scale to the last.
  if (state.high !== null && !(row[SCORE] !== null && (row[SCORE] < state.high || state.high >= 100))) return false;
  const [kind, value] = state.kind.split(":");
  if (kind === "scored") return row[SCORE] !== null;
  if (kind === "failed") return Boolean(row[CODE]);
  if (kind === "gate") return Boolean(row[GATE] && row[GATE].length);
  if (kind === "code") return row[CODE] === value;
  if (kind === "clean") return Boolean(row[DISTORTIONS]) && !row[DISTORTIONS].length;
  if (kind === "distortion") return (row[DISTORTIONS] || []).some(([place]) => place === Number(value));
  if (kind === "marked") return marked.has(row[PATH]);
  return true;
}
function search() {
  const needle = state.text.trim().toLowerCase();
  const found = [];
  rows.forEach((row, place) => { if (fits(row, needle)) found.push(place); });
  const column = columns.find((each) => each.id === state.column);
  if (column.id !== "order") {
    // Made once for each column: with a hundred thousand rows it is what takes the time.
    const keys = (column.keys ??= rows.map(column.key));
    const sign = state.down ? -1 : 1;
    found.sort((one, other) => {
      const a = keys[one];
      const b = keys[other];
      // What has no value comes last, whichever way round.
      if (a === null || b === null || a === b) return (a === null) - (b === null) || one - other;
      return (a < b ? -1 : 1) * sign;
    });
  } else if (state.down) found.reverse();
  state.found = found;
}
const listed = () => state.found.map((place) => ({ row: rows[place], place }));

function draw() {
  const size = PAGE[state.as];
  const pages = Math.max(1, Math.ceil(state.found.length / size));
  state.page = Math.min(state.page, pages - 1);
  const first = state.page * size;
  const seen = state.found.slice(first, first + size);
  byId("grid").hidden = state.as !== "pictures";
  byId("lines").hidden = state.as !== "table";
  byId("grid").replaceChildren(...(state.as === "pictures" ? seen.map((place) => card({ row: rows[place], place }, listed)) : []));
  byId("body").replaceChildren(...(state.as === "table" ? seen.map(line) : []));
  byId("count").textContent = state.found.length === rows.length ? photographs(rows.length) : `${count(state.found.length)} of ${photographs(rows.length)}`;
  byId("pages").hidden = pages === 1;
  const last = first + seen.length;
  byId("pages").querySelector("span").textContent = seen.length ? `${count(first + 1)} to ${count(last)} of ${count(state.found.length)}` : "";
  for (const button of byId("pages").querySelectorAll("button")) {
    const to = button.turn(state.page, pages - 1);
    button.disabled = to === state.page || to < 0 || to >= pages;
  }
  for (const heading of byId("columns").children) {
    const sorted = heading.dataset.column === state.column;
    heading.setAttribute("aria-sort", sorted ? (state.down ? "descending" : "ascending") : "none");
  }
  for (const button of byId("as").children) button.setAttribute("aria-pressed", button.value === state.as);
  markHistogram();
}
function line(place) {
  const row = rows[place];
  const element = make("tr");
  for (const column of columns) {
    const cell = make("td", { class: column.numeric ? "numeric" : column.id });
    if (column.id === "score") cell.append(pill(row));
    else if (column.id === "path") cell.append(make("button", { type: "button", text: row[PATH], click: () => view(listed(), state.found.indexOf(place)) }));
    else cell.textContent = column.text(row, place);
    element.append(cell);
  }
  return element;
}
function show(filter) {
  Object.assign(state, nothing, filter, { page: 0 });
  for (const id of ["text", "kind", "low", "high"]) byId(id).value = state[id] ?? "";
  search();
  draw();
  if (Object.keys(filter).length) byId("h-table").scrollIntoView({ block: "start" });
}

function headings() {
  for (const column of columns) {
    const sort = () => {
      // The worst, the widest spread first: what one looks for.
      const first = column.id === "spread" || column.id === "size";
      state.down = state.column === column.id ? !state.down : first;
      Object.assign(state, { column: column.id, page: 0 });
      search();
      draw();
    };
    const button = make("button", { type: "button", text: column.title, title: column.help, click: sort });
    const heading = make("th", { scope: "col", class: column.numeric ? "numeric" : null }, button);
    heading.dataset.column = column.id;
    byId("columns").append(heading);
  }
}
function filters() {
  const kinds = [["all", "all"], ["marked", "marked"]];
  if (report.failed) kinds.push(["scored", "with a score"], ["failed", "without a score"]);
  if (report.gate) kinds.push(["gate", "did not pass the gate"]);
  for (const code of Object.keys(report.failures)) kinds.push([`code:${code}`, plain(code)]);
  if (report.distortions) {
    for (const [name] of report.distortions.named) kinds.push([`distortion:${report.names.indexOf(name)}`, name]);
    kinds.push(["clean", NO_FAULT]);
  }
  byId("kind").append(...kinds.map(([value, text]) => make("option", { value, text })));
  const numeric = (text) => (text.trim() === "" || Number.isNaN(Number(text)) ? null : Number(text));
  let waiting = 0;
  byId("filter").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      Object.assign(state, { text: byId("text").value, kind: byId("kind").value, page: 0 });
      Object.assign(state, { low: numeric(byId("low").value), high: numeric(byId("high").value) });
      search();
      draw();
    }, rows.length > 5000 ? 120 : 0);
  });
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
  byId("filter").addEventListener("reset", (event) => { event.preventDefault(); show({}); });
  for (const button of byId("as").children) button.addEventListener("click", () => { Object.assign(state, { as: button.value, page: 0 }); draw(); });
}
function pager() {
  const turns = [["First", () => 0], ["Previous", (page) => page - 1], ["Next", (page) => page + 1], ["Last", (page, last) => last]];
  const buttons = turns.map(([text, turn]) => {
    const button = make("button", { type: "button", text });
    button.turn = turn;
    button.addEventListener("click", () => {
      state.page = turn(state.page, Math.ceil(state.found.length / PAGE[state.as]) - 1);
      draw();
    });
    return button;
  });
  byId("pages").append(buttons[0], buttons[1], make("span"), buttons[2], buttons[3]);
}
function all() {
  headings();
  filters();
  pager();
  byId("grid").addEventListener("keydown", walk);
  if (report.total > rows.length) {
    byId("cut").hidden = false;
    byId("cut").textContent = `The list has the first ${count(rows.length)} of ${photographs(report.total)}; everything above is of all of them.`;
  }
}
