/** Shows what the worker says of the photographs that are dropped, the worst first. */
import type { Answer, Field } from "./messages.js";

const SIDE = 320;

const find = <T extends Element>(query: string, within: ParentNode = document) => within.querySelector<T>(query)!;
const list = find<HTMLElement>("#photographs");
const status = find<HTMLElement>("#status");
const maps = find<HTMLInputElement>("#maps");
const template = find<HTMLTemplateElement>("#photograph");
const shown = new Map<number, HTMLElement>();
let waiting = 0;

const worker = new Worker("worker.js", { type: "module" });
worker.addEventListener("error", (event) => say(`The model cannot be loaded: ${event.message}`));
worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
  if (data.kind === "broken") return say(`The model cannot be loaded: ${data.message}`);
  if (data.kind === "ready") document.body.dataset.model = data.model;
  else {
    waiting -= 1;
    show(shown.get(data.id)!, data);
  }
  say(waiting > 0 ? `${waiting} to score` : `${shown.size} scored`);
});

function say(text: string): void {
  status.textContent = text;
}

function add(files: Iterable<File>): void {
  for (const file of files) {
    const id = shown.size;
    const figure = find<HTMLElement>("figure", template.content.cloneNode(true) as DocumentFragment);
    find<HTMLImageElement>("img", figure).src = URL.createObjectURL(file);
    const name = find("strong", figure);
    name.textContent = (name as HTMLElement).title = file.name;
    find("output", figure).textContent = "…";
    shown.set(id, figure);
    list.append(figure);
    waiting += 1;
    worker.postMessage({ id, file, side: SIDE });
  }
  if (waiting > 0) say(`${waiting} to score`);
}

function show(figure: HTMLElement, found: Extract<Answer, { id: number }>): void {
  const output = find<HTMLOutputElement>("output", figure);
  const faults = find<HTMLElement>(".faults", figure);
  if (found.kind === "failed") {
    output.textContent = "–";
    faults.textContent = found.message;
    figure.dataset.error = found.code;
    return;
  }
  output.textContent = found.score.toFixed(1);
  const faultNames = found.distortions.map(({ name }) => name).join(", ") || "no fault found";
  faults.textContent = found.warnings.includes("not_a_photograph") ? "perhaps not a photograph" : faultNames;
  figure.dataset.raw = String(found.raw);
  figure.dataset.score = String(found.score);
  paint(find<HTMLCanvasElement>("canvas", figure), found.map);
  const after = [...list.children].find((each) => Number((each as HTMLElement).dataset.score ?? 101) > found.score);
  if (after !== figure) list.insertBefore(figure, after ?? null);
}

/** Orange for a score of 0 to blue for 100: the colour of a photograph that is like the place all over. */
function paint(canvas: HTMLCanvasElement, { width, height, values }: Field): void {
  canvas.width = width;
  canvas.height = height;
  canvas.hidden = !maps.checked;
  const picture = new ImageData(width, height);
  values.forEach((value, i) => {
    if (Number.isNaN(value)) return;
    const share = value / 100;
    picture.data.set([235 - 193 * share, 104 + 16 * share, 52 + 162 * share, 150], i * 4);
  });
  canvas.getContext("2d")!.putImageData(picture, 0, 0);
}

maps.addEventListener("change", () => {
  for (const canvas of list.querySelectorAll("canvas")) canvas.hidden = !maps.checked;
});
find<HTMLInputElement>("#files").addEventListener("change", ({ target }) => {
  const input = target as HTMLInputElement;
  add(input.files ?? []);
  input.value = "";
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", () => document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  add(event.dataTransfer?.files ?? []);
});
