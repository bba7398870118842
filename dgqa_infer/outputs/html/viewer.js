// One photograph: it opens as it is, and a key lays the quality map over it.

const album = { all: [], at: 0 };

function view(all, at) {
  Object.assign(album, { all, at });
  const { row, place } = all[at];
  const seen = pictures[place];
  byId("photo-name").textContent = row[PATH];
  byId("picture").hidden = !seen;
  if (seen) {
    byId("picture-photo").src = seen.photo ?? seen.thumb;
    byId("picture-photo").alt = row[PATH];
    byId("map-toggle").hidden = !seen.map;
    if (seen.map) byId("picture-map").src = seen.map;
    else byId("picture-map").removeAttribute("src");
    overlay();
  }
  facts(row, place);
  byId("mark").setAttribute("aria-pressed", marked.has(row[PATH]));
  byId("previous").disabled = at <= 0;
  byId("next").disabled = at + 1 >= all.length;
  if (!byId("photo").open) byId("photo").showModal();
}
function facts(row, place) {
  const list = byId("facts");
  list.replaceChildren();
  const fact = (name, ...value) => list.append(make("dt", { text: name }), make("dd", {}, ...value));
  fact("Score", pill(row));
  if (row[CODE]) fact("Reason", `${plain(row[CODE])}: ${row[MESSAGE]}`);
  if (row[DISTORTIONS]) {
    const sure = row[DISTORTIONS].map((each) => `${fault(each)} (${percent(each[1])} sure)`);
    const found = [...sure, ...reasons(row, place, [])].filter((each) => each !== NO_FAULT || !sure.length);
    fact("What is wrong", make("ul", {}, ...found.map((text) => make("li", { text }))));
  }
  if (row[GATE]) fact("Gate", row[GATE].length ? `did not pass: ${row[GATE].join(", ")}` : "passed");
  if (row[SCORE] !== null) {
    fact("Pixels", `${count(row[WIDTH])} × ${count(row[HEIGHT])}`);
    fact("Spread", `${row[SPREAD].toFixed(2)}: how much quality differs from place to place`);
    fact("Raw", `${row[RAW].toFixed(2)}: the network's own number, 0 to 10`);
  }
  if (row[WARNINGS]) fact("Warnings", row[WARNINGS]);
}
function overlay() {
  const on = byId("picture-map").hasAttribute("src") && byId("map-on").checked;
  byId("picture-map").hidden = byId("legend").hidden = !on;
}
function turn(steps) {
  if (album.all[album.at + steps]) view(album.all, album.at + steps);
}
function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {
    ArrowLeft: () => turn(-1),
    ArrowRight: () => turn(1),
    x: () => mark(album.all[album.at].row[PATH]),
    m: () => { byId("map-on").checked = !byId("map-on").checked; overlay(); },
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
function viewer() {
  byId("ramp").style.background = `linear-gradient(to right, ${report.colours.map((each) => `rgb(${each.join(" ")})`).join(", ")})`;
  byId("map-on").addEventListener("change", overlay);
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("mark").addEventListener("click", () => mark(album.all[album.at].row[PATH]));
  byId("photo").addEventListener("keydown", keys);
  // A click beside the picture closes too.
  byId("photo").addEventListener("click", (event) => { if (event.target === byId("photo")) byId("photo").close(); });
  byId("copy").addEventListener("click", copyMarked);
  byId("unmark").addEventListener("click", () => { for (const path of [...marked]) mark(path); });
}

overview();
gallery("worst", report.worst);
gallery("best", report.best);
histogram();
meaning();
distortions();
all();
viewer();
show({});
