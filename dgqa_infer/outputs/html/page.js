"use strict";
// All that comes from photographs' names and from files is put into the page as text, never as markup.
(() => {
  const PAGE = 100;
  const [PATH, SCORE, RAW, SPREAD, WIDTH, HEIGHT, WARNINGS, DISTORTIONS, CODE, MESSAGE, GATE] = Array(11).keys();
  const byId = (id) => document.getElementById(id);
  const rows = JSON.parse(byId("rows").textContent);
  const report = JSON.parse(byId("report").textContent);

  // Small helpers

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
  function bar(name, shares, number, choose) {
    const label = choose
      ? make("button", { class: "name", type: "button", text: name, click: choose })
      : make("span", { class: "name", text: name });
    const track = make("span", { class: "track" });
    shares.forEach((share, place) => {
      const fill = make("span", { class: place ? "fill there" : "fill" });
      fill.style.width = `${100 * share}%`;
      track.append(fill);
    });
    return make("li", {}, label, track, make("span", { class: "number", text: number }));
  }

  // What the whole set is like

  function tile(label, value, kind) {
    byId("tiles").append(
      make("li", { class: kind }, make("span", { class: "value", text: value }), make("span", { class: "label", text: label }))
    );
  }
  function overview() {
    byId("about").textContent = `${photographs(report.total)}, scored by ${report.models.join(", ") || "no model"}`;
    byId("made").textContent = `Made by ${report.program}. Nothing on this page comes from elsewhere.`;
    tile("photographs", count(report.total));
    if (report.quantiles) {
      tile("median score", report.quantiles.median.toFixed(1));
      tile("worst 10 %, up to", report.quantiles.tenth.toFixed(1));
    }
    tile("without a score", count(report.failed), report.failed ? "bad" : "good");
    if (report.gate) tile("did not pass the gate", count(report.gate.failed), report.gate.failed ? "bad" : "good");
    const codes = Object.entries(report.failures);
    byId("failures").hidden = !codes.length;
    for (const [code, number] of codes) {
      byId("failures").lastElementChild.append(
        bar(plain(code), [number / codes[0][1]], count(number), () => show({ kind: `code:${code}` }))
      );
    }
  }

  function meaning() {
    byId("meaning").hidden = !report.meaning.length;
    for (const each of report.meaning) {
      const words = `as a good photograph after ${each.like}`;
      const share = `${percent(each.below)} of ${count(each.photographs)} real photographs score lower`;
      byId("meaning").lastElementChild.append(make("li", {}, make("b", { text: each.score }), ` ${words}. ${share}.`));
    }
  }

  function histogram() {
    const box = byId("histogram");
    const step = 100 / report.histogram.length;
    const most = Math.max(1, ...report.histogram);
    report.histogram.forEach((number, place) => {
      const [low, high] = [place * step, (place + 1) * step];
      const words = `${low} to ${high}: ${photographs(number)}`;
      const fill = make("span", { class: "fill" });
      fill.style.height = `${number ? Math.max(1, (100 * number) / most) : 0}%`;
      fill.style.background = `rgb(${colour((low + high) / 2).join(" ")})`;
      const button = make("button", { type: "button", title: words, "aria-label": words, "aria-pressed": "false" }, fill);
      button.tabIndex = place ? -1 : 0;
      button.addEventListener("click", () => {
        const chosen = button.getAttribute("aria-pressed") === "true";
        show(chosen ? {} : { low, high });
      });
      box.append(button);
    });
    // One stop of the tab key; arrows go from bar to bar.
    box.addEventListener("keydown", (event) => {
      const bars = [...box.querySelectorAll("button")];
      const at = bars.indexOf(document.activeElement);
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: bars.length - 1 }[event.key];
      if (at < 0 || !bars[to]) return;
      event.preventDefault();
      bars[at].tabIndex = -1;
      bars[to].tabIndex = 0;
      bars[to].focus();
    });
    for (let value = 0; value <= 100; value += 20) {
      const tick = make("span", { class: "tick", text: value, "aria-hidden": "true" });
      tick.style.left = `${value}%`;
      box.append(tick);
    }
    if (!report.quantiles) return;
    const { median } = report.quantiles;
    const mark = make("span", { class: median > 75 ? "median late" : "median" }, make("span", { text: `median ${median.toFixed(1)}` }));
    mark.style.left = `${median}%`;
    box.append(mark);
  }
  function markHistogram() {
    const box = byId("histogram");
    const bars = [...box.querySelectorAll("button")];
    const step = 100 / bars.length;
    let any = false;
    bars.forEach((button, place) => {
      const chosen = state.low === place * step && state.high === (place + 1) * step;
      any ||= chosen;
      button.setAttribute("aria-pressed", chosen);
    });
    box.classList.toggle("chosen", any);
  }

  function gallery(section, places) {
    byId(section).hidden = !places.length;
    const list = byId(section).lastElementChild;
    for (const place of places) {
      const shown = report.shown[place];
      const frame = shown.photo
        ? make("span", { class: "frame" }, make("img", { src: shown.photo, alt: "", loading: "lazy" }))
        : make("span", { class: "frame" }, make("span", { class: "none", text: "no picture" }));
      const caption = make("span", { class: "caption", text: shown.row[PATH].split("/").pop(), title: shown.row[PATH] });
      const open = () => view(shown.row, shown, places.map((each) => report.shown[each]));
      list.append(make("li", {}, make("button", { type: "button", click: open }, frame, pill(shown.row), caption)));
    }
  }

  function distortions() {
    byId("distortions").hidden = !report.distortions;
    if (report.distortions) {
      const list = byId("distortions").lastElementChild;
      for (const [name, number] of report.distortions.named) {
        const share = number / report.distortions.photos;
        const place = report.names.indexOf(name);
        list.append(bar(name, [share], percent(share), () => show({ kind: `distortion:${place}` })));
      }
      const none = report.distortions.none / report.distortions.photos;
      list.append(bar("none found", [none], percent(none), () => show({ kind: "clean" })));
    }
    byId("profile").hidden = !report.profile;
    if (!report.profile) return;
    const there = report.profile.some((each) => each.there !== null);
    byId("profile").querySelector(".target").hidden = !there;
    const list = byId("profile").querySelector("ul");
    for (const each of report.profile) {
      const item = bar(each.name, there ? [each.here, each.there] : [each.here], percent(each.here));
      item.title = there ? `${each.name}: ${percent(each.here)} here, ${percent(each.there)} there` : each.name;
      list.append(item);
    }
    if (report.drift) {
      byId("drift").textContent = report.drift.sentence;
      byId("drift").classList.toggle("far", report.drift.far);
    }
  }

  // The table

  const named = (row) => (row[DISTORTIONS] || []).map(([place]) => report.names[place]);
  const remarks = (row) =>
    [
      row[CODE] ? `${plain(row[CODE])}: ${row[MESSAGE]}` : "",
      row[GATE] && row[GATE].length ? `gate: ${row[GATE].join(", ")}` : "",
      row[DISTORTIONS] ? named(row).join(", ") || "none found" : "",
      row[WARNINGS] || "",
    ]
      .filter(Boolean)
      .join(" · ");
  const columns = [
    { id: "order", title: "#", numeric: true, key: (row, place) => place, text: (row, place) => count(place + 1) },
    { id: "score", title: "Score", numeric: true, key: (row) => row[SCORE] },
    { id: "spread", title: "Spread", numeric: true, key: (row) => row[SPREAD], text: (row) => row[SPREAD]?.toFixed(2) ?? "" },
    { id: "path", title: "Photograph", key: (row) => row[PATH] },
    { id: "size", title: "Pixels", numeric: true, key: (row) => (row[WIDTH] ? row[WIDTH] * row[HEIGHT] : null), text: (row) => (row[WIDTH] ? `${row[WIDTH]} × ${row[HEIGHT]}` : "") },
    { id: "remarks", title: "Remarks", key: remarks, text: remarks },
  ];
  const picturesOf = new Map(report.shown.map((shown) => [shown.place, shown]));
  const nothing = { text: "", kind: "all", low: null, high: null };
  const state = { ...nothing, column: "order", down: false, page: 0, found: [] };

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
  function draw() {
    const pages = Math.max(1, Math.ceil(state.found.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * PAGE;
    const seen = state.found.slice(first, first + PAGE);
    byId("body").replaceChildren(...seen.map(line));
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
    markHistogram();
  }
  function line(place) {
    const row = rows[place];
    const element = make("tr");
    for (const column of columns) {
      const cell = make("td", { class: column.numeric ? "numeric" : column.id });
      if (column.id === "score") cell.append(pill(row));
      else if (column.id === "path") {
        const open = () => {
          const all = state.found.map((each) => ({ row: rows[each], ...picturesOf.get(each) }));
          view(row, picturesOf.get(place), all, state.found.indexOf(place));
        };
        cell.append(make("button", { type: "button", text: row[PATH], click: open }));
      } else cell.textContent = column.text(row, place);
      element.append(cell);
    }
    return element;
  }
  function show(filter) {
    Object.assign(state, nothing, filter, { page: 0 });
    for (const id of ["text", "kind", "low", "high"]) byId(id).value = state[id] ?? "";
    search();
    draw();
    if (Object.keys(filter).length) byId("h-table").scrollIntoView({ block: "nearest" });
  }
  function table() {
    for (const column of columns) {
      const sort = () => {
        // The worst, the widest spread first: what one looks for.
        const first = column.id === "spread" || column.id === "size";
        state.down = state.column === column.id ? !state.down : first;
        Object.assign(state, { column: column.id, page: 0 });
        search();
        draw();
      };
      const button = make("button", { type: "button", text: column.title, click: sort });
      const heading = make("th", { scope: "col", class: column.numeric ? "numeric" : null }, button);
      heading.dataset.column = column.id;
      byId("columns").append(heading);
    }
    const kinds = [["all", "all"]];
    if (report.failed) kinds.push(["scored", "with a score"], ["failed", "without a score"]);
    if (report.gate) kinds.push(["gate", "did not pass the gate"]);
    for (const code of Object.keys(report.failures)) kinds.push([`code:${code}`, plain(code)]);
    if (report.distortions) {
      for (const [name] of report.distortions.named) kinds.push([`distortion:${report.names.indexOf(name)}`, name]);
      kinds.push(["clean", "none found"]);
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

    const turns = [["First", () => 0], ["Previous", (page) => page - 1], ["Next", (page) => page + 1], ["Last", (page, last) => last]];
    const buttons = turns.map(([text, turn]) => {
      const button = make("button", { type: "button", text });
      button.turn = turn;
      button.addEventListener("click", () => {
        state.page = turn(state.page, Math.ceil(state.found.length / PAGE) - 1);
        draw();
      });
      return button;
    });
    byId("pages").append(buttons[0], buttons[1], make("span"), buttons[2], buttons[3]);
    if (report.total > rows.length) {
      byId("cut").hidden = false;
      byId("cut").textContent = `The table has the first ${count(rows.length)} of ${photographs(report.total)}; everything above is of all of them.`;
    }
  }

  // One photograph

  const album = { all: [], at: 0 };

  function view(row, shown, all, at = all.findIndex((each) => each.row === row)) {
    Object.assign(album, { all, at });
    byId("photo-name").textContent = row[PATH];
    byId("picture").hidden = !shown?.photo;
    if (shown?.photo) {
      byId("picture-photo").src = shown.photo;
      byId("picture-photo").alt = row[PATH];
      byId("map-toggle").hidden = byId("legend").hidden = !shown.map;
      if (shown.map) byId("picture-map").src = shown.map;
      else byId("picture-map").removeAttribute("src");
      overlay(Boolean(shown.map));
    }
    const facts = byId("facts");
    facts.replaceChildren();
    const fact = (name, ...value) => facts.append(make("dt", { text: name }), make("dd", {}, ...value));
    fact("Score", pill(row));
    if (row[CODE]) fact("Reason", `${plain(row[CODE])}: ${row[MESSAGE]}`);
    if (row[SCORE] !== null) {
      fact("Quality", `${row[RAW].toFixed(2)}, on the scale of the labels`);
      fact("Spread", `${row[SPREAD].toFixed(2)} between its crops`);
      fact("Pixels", `${count(row[WIDTH])} × ${count(row[HEIGHT])}`);
    }
    if (row[DISTORTIONS]) {
      const found = row[DISTORTIONS].map(([place, share]) => `${report.names[place]} ${percent(share)}`);
      fact("What is wrong", found.join(", ") || "none found");
    }
    if (row[GATE]) fact("Gate", row[GATE].length ? `did not pass: ${row[GATE].join(", ")}` : "passed");
    if (row[WARNINGS]) fact("Warnings", row[WARNINGS]);
    byId("previous").disabled = at <= 0;
    byId("next").disabled = at < 0 || at + 1 >= all.length;
    if (!byId("photo").open) byId("photo").showModal();
  }
  function overlay(there = byId("picture-map").hasAttribute("src")) {
    const on = there && byId("map-on").checked;
    byId("picture-map").hidden = !on;
    byId("picture-photo").classList.toggle("below", on);
  }
  function turn(steps) {
    const next = album.all[album.at + steps];
    if (next) view(next.row, next, album.all, album.at + steps);
  }
  function dialog() {
    byId("ramp").style.background = `linear-gradient(to right, ${report.colours.map((each) => `rgb(${each.join(" ")})`).join(", ")})`;
    byId("map-on").addEventListener("change", () => overlay());
    byId("previous").addEventListener("click", () => turn(-1));
    byId("next").addEventListener("click", () => turn(1));
    byId("photo").addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") turn(-1);
      else if (event.key === "ArrowRight") turn(1);
    });
    // A click beside the picture closes too.
    byId("photo").addEventListener("click", (event) => { if (event.target === byId("photo")) byId("photo").close(); });
  }

  overview();
  histogram();
  meaning();
  gallery("worst", report.worst);
  gallery("best", report.best);
  distortions();
  table();
  dialog();
  show({});
})();
