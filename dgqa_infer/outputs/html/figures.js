// What the whole set is like: numbers, the histogram, and bars.

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
    if (number) fill.append(make("span", { class: "count", text: short(number), "aria-hidden": "true" }));
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

function distortions() {
  byId("distortions").hidden = !report.distortions;
  if (report.distortions) {
    const list = byId("distortions").lastElementChild;
    for (const [name, number] of report.distortions.named) {
      const share = number / report.distortions.photos;
      const place = report.names.indexOf(name);
      list.append(bar(name, [share], `${count(number)} · ${percent(share)}`, () => show({ kind: `distortion:${place}` })));
    }
    const none = report.distortions.none / report.distortions.photos;
    list.append(bar(NO_FAULT, [none], `${count(report.distortions.none)} · ${percent(none)}`, () => show({ kind: "clean" })));
  }
  byId("makers").hidden = !report.profile;
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
