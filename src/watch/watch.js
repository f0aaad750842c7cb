// The page of `wgflow watch`: asks every two seconds what is new, and draws it.
"use strict";

const EVERY = 2000;
const WIDTH = 420, HEIGHT = 230, LEFT = 58, RIGHT = 10, TOP = 8, BOTTOM = 24;
// Okabe and Ito's colours, which colour-blind people tell apart; then hues around the circle.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8f7a00", "#7f7f7f"];
// More pictures at a time say nothing and take long to load.
const MOST_PICTURED = 6;

/** By name: `about`, what the server says of the run; `series`, its points [iteration, value] by tag; `next`, the byte of its log
 * to go on from; `shown`; `colour`. */
const runs = new Map();
/** By tag: the elements of a chart. */
const charts = new Map();
const element = (id) => document.getElementById(id);

function make(name, attributes, ...children) {
    const svg = ["svg", "path", "line", "text", "circle", "g"].includes(name);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
}

async function ask(address) {
    const response = await fetch(address);
    if (!response.ok) throw new Error(await response.text());
    return response.json();
}

const titled = (name) => name || "this run";
const address = (name, file) =>
    "/files/" + (name ? encodeURIComponent(name) + "/" : "") + encodeURIComponent(file);

function colour(index) {
    return index < COLOURS.length ? COLOURS[index] : `hsl(${Math.round((index * 137.5) % 360)} 65% 50%)`;
}

/** Reads what the logs have more than last time; says whether that is anything. */
async function read(run) {
    let news = false;
    for (let more = run.next !== run.about.bytes; more;) {
        const answer = await ask(`/api/lines?run=${encodeURIComponent(run.about.name)}&from=${run.next}`);
        if (answer.anew) run.series = new Map();
        for (const [iteration, numbers] of answer.points) {
            for (const [tag, value] of Object.entries(numbers)) {
                if (!run.series.has(tag)) run.series.set(tag, []);
                run.series.get(tag).push([iteration, value]);
            }
        }
        news ||= answer.anew || answer.points.length > 0;
        run.next = answer.next;
        more = answer.more;
    }
    return news;
}

async function poll() {
    const found = await ask("/api/runs");
    element("directory").textContent = found.directory;
    let news = false;
    const names = found.runs.map((about) => about.name);
    for (const name of runs.keys()) {
        if (!names.includes(name)) news = runs.delete(name);
    }
    for (const about of found.runs) {
        const known = runs.get(about.name);
        const changed = JSON.stringify(known?.about) !== JSON.stringify(about);
        if (known) known.about = about;
        else runs.set(about.name, { about, series: new Map(), next: 0, shown: true, colour: colour(runs.size) });
        news = (await read(runs.get(about.name))) || changed || news;
    }
    if (news || runs.size === 0) draw();
    const finished = found.runs.filter((about) => about.finished).length;
    const state = element("state");
    state.className = "";
    state.textContent = `${found.runs.length} runs, ${finished} of them finished`;
    if (found.report) {
        const report = make("a", { href: address("", found.report), target: "_blank" }, "comparison");
        state.append("; ", report);
    }
}

function draw() {
    drawRuns();
    drawCharts();
    drawPictures();
}

function drawRuns() {
    const which = element("which").value;
    const items = [...runs.values()].filter((run) => run.about.name.includes(which)).map((run) => {
        const { name, iterations, finished, report } = run.about;
        const box = make("input", { type: "checkbox" });
        box.checked = run.shown;
        box.addEventListener("change", () => {
            run.shown = box.checked;
            draw();
        });
        const line = make("line", { x1: 0, y1: 5, x2: 26, y2: 5, stroke: run.colour, "stroke-width": 4 });
        const swatch = make("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" }, line);
        let done = 0;
        for (const points of run.series.values()) done = Math.max(done, points[points.length - 1][0] + 1);
        const progress = finished ? "finished" : `${done} of ${iterations ?? "?"}`;
        const item = make("li", {}, make("label", {}, box, swatch, titled(name)));
        item.append(make("span", { class: "progress" }, progress));
        if (report) item.append(make("a", { href: address(name, report), target: "_blank" }, "report"));
        return item;
    });
    element("runs").replaceChildren(...items);
}

const shownRuns = () => {
    const which = element("which").value;
    return [...runs.values()].filter((run) => run.shown && run.about.name.includes(which));
};

function drawCharts() {
    const wanted = element("tags").value;
    const tags = new Set();
    for (const run of shownRuns()) {
        for (const tag of run.series.keys()) {
            if (tag.includes(wanted)) tags.add(tag);
        }
    }
    // What training says comes first, and in it what most look for.
    const first = ["train/elbo", "train/log_z", "train/loss"];
    const rank = (tag) => (first.includes(tag) ? first.indexOf(tag) : tag.startsWith("train/") ? 3 : 4);
    const order = [...tags].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
    for (const tag of charts.keys()) {
        if (!tags.has(tag)) charts.delete(tag);
    }
    for (const tag of order) {
        if (!charts.has(tag)) charts.set(tag, chart(tag));
        drawChart(tag, charts.get(tag));
    }
    element("charts").replaceChildren(...order.map((tag) => charts.get(tag).figure));
}

function chart(tag) {
    const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${tag} over the iterations` });
    const caption = make("figcaption", {});
    const made = { svg, caption, figure: make("figure", { class: "chart" }, make("h3", {}, tag), svg, caption) };
    svg.addEventListener("pointermove", (event) => {
        const box = svg.getBoundingClientRect();
        point(made, ((event.clientX - box.left) / box.width) * WIDTH);
    });
    svg.addEventListener("pointerleave", () => point(made, null));
    return made;
}

/** A running mean, each value counting `smoothing` times as much as the next; without it the points themselves. */
function smoothed(points, smoothing) {
    let [sum, weight] = [0, 0];
    return points.map(([iteration, value]) => {
        [sum, weight] = [smoothing * sum + value, smoothing * weight + 1];
        return [iteration, sum / weight];
    });
}

/** At most two points a pixel: the least and the largest, so that no spike is lost. */
function thinned(points, x) {
    if (points.length <= 2 * WIDTH) return points;
    const thin = [];
    for (let i = 0; i < points.length;) {
        const column = Math.round(x(points[i][0]));
        let [least, most] = [points[i], points[i]];
        for (; i < points.length && Math.round(x(points[i][0])) === column; i++) {
            if (points[i][1] < least[1]) least = points[i];
            if (points[i][1] > most[1]) most = points[i];
        }
        thin.push(...(least[0] < most[0] ? [least, most] : least === most ? [least] : [most, least]));
    }
    return thin;
}

/** Round numbers from `low` to `high`, about `count` of them. */
function ticks(low, high, count) {
    const raw = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
    const found = [];
    for (let i = Math.ceil(low / step); i * step <= high + 1e-9 * step; i++) found.push(i * step);
    return found;
}

const shown = (value) => String(Number(value.toPrecision(5)));

function drawChart(tag, made) {
    const logarithmic = element("logarithmic").checked;
    const smoothing = Number(element("smoothing").value);
    const curves = [];
    for (const run of shownRuns()) {
        const points = smoothed(run.series.get(tag) ?? [], smoothing).filter(([, value]) => !logarithmic || value > 0);
        if (points.length > 0) curves.push({ run, points });
    }
    made.svg.replaceChildren();
    made.curves = [];
    if (curves.length === 0) return;
    // The exact log Z is where these curves lead to.
    const exacts = new Set(curves.map(({ run }) => run.about.log_z_exact ?? run.series.get("evaluation/log_z_exact")?.[0][1]));
    const [exact] = exacts;
    const leads = /\/(elbo|eubo|log_z|log_z_estimate|zeta)$/.test(tag) && exacts.size === 1 && Number.isFinite(exact);
    const scale = logarithmic ? Math.log10 : (value) => value;
    let [first, last, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const { points } of curves) {
        first = Math.min(first, points[0][0]);
        last = Math.max(last, points[points.length - 1][0]);
        for (const [, value] of points) [low, high] = [Math.min(low, scale(value)), Math.max(high, scale(value))];
    }
    if (leads && !logarithmic) [low, high] = [Math.min(low, exact), Math.max(high, exact)];
    if (first === last) last = first + 1;
    // What differs by rounding alone is drawn as the constant that it is.
    const size = Math.max(Math.abs(low), Math.abs(high));
    const room = high - low > 1e-9 * size ? 0.05 * (high - low) : Math.max(0.05 * size, 1e-3);
    [low, high] = [low - room, high + room];
    const x = (iteration) => LEFT + ((iteration - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
    const y = (value) => TOP + ((high - scale(value)) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    for (const tick of ticks(low, high, 5)) {
        const at = TOP + ((high - tick) / (high - low)) * (HEIGHT - TOP - BOTTOM);
        const label = shown(logarithmic ? 10 ** tick : tick);
        made.svg.append(make("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }));
        made.svg.append(make("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, label));
    }
    for (const tick of ticks(first, last, 5)) {
        made.svg.append(make("text", { x: x(tick), y: HEIGHT - 8, "text-anchor": "middle" }, shown(tick)));
    }
    if (leads && (!logarithmic || exact > 0)) {
        const at = { x1: LEFT, x2: WIDTH - RIGHT, y1: y(exact), y2: y(exact) };
        made.svg.append(make("line", { class: "exact", ...at }));
    }
    for (const { run, points } of curves) {
        const steps = thinned(points, x).map(([iteration, value], i) =>
            `${i ? "L" : "M"}${x(iteration).toFixed(1)} ${y(value).toFixed(1)}`);
        const path = make("path", { class: "curve", stroke: run.colour, d: steps.join("") });
        path.dataset.run = run.about.name;
        path.dataset.points = points.length;
        made.svg.append(path);
        if (points.length === 1) {
            const [[iteration, value]] = points;
            made.svg.append(make("circle", { class: "dot", cx: x(iteration), cy: y(value), r: 3, fill: run.colour }));
        }
    }
    Object.assign(made, { curves, first, last, pointer: make("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM }) });
}

/** Says below a chart what its curves are at a place, or nothing. */
function point(made, place) {
    made.pointer?.remove();
    made.caption.textContent = "";
    if (place === null || made.curves.length === 0) return;
    const share = Math.min(1, Math.max(0, (place - LEFT) / (WIDTH - LEFT - RIGHT)));
    const iteration = made.first + share * (made.last - made.first);
    const lines = made.curves.map(({ run, points }) => {
        let [from, to] = [0, points.length - 1];
        while (from < to) {
            const middle = (from + to) >> 1;
            if (points[middle][0] < iteration) from = middle + 1;
            else to = middle;
        }
        const before = points[Math.max(0, from - 1)];
        const near = Math.abs(before[0] - iteration) < Math.abs(points[from][0] - iteration) ? before : points[from];
        return `${titled(run.about.name)} at ${near[0]}: ${shown(near[1])}`;
    });
    const more = lines.length > 8 ? `\n and ${lines.length - 8} more` : "";
    made.caption.textContent = lines.slice(0, 8).join("\n") + more;
    const at = LEFT + share * (WIDTH - LEFT - RIGHT);
    made.pointer.setAttribute("x1", at);
    made.pointer.setAttribute("x2", at);
    made.svg.append(made.pointer);
}

function drawPictures() {
    const pictured = shownRuns().filter((run) => run.about.pictures.length > 0);
    const sections = pictured.slice(0, MOST_PICTURED).map((run) => {
        const { name, pictures } = run.about;
        const figures = pictures.map((picture) => {
            // Loaded again when, and only when, it has changed.
            const source = `${address(name, picture.name)}?${picture.changed}`;
            const kept = run.images?.get(source);
            return [source, kept ?? make("img", { src: source, alt: `${picture.name} of ${titled(name)}`, loading: "lazy" })];
        });
        run.images = new Map(figures);
        const boxes = figures.map(([, image]) => make("figure", {}, make("div", { class: "picture" }, image)));
        return make("section", {}, make("h3", {}, titled(name)), make("div", { class: "figures" }, ...boxes));
    });
    if (pictured.length > sections.length) {
        sections.push(make("p", {}, `and those of ${pictured.length - sections.length} more runs: choose among them above`));
    }
    if (sections.length === 0) sections.push(make("p", {}, "none yet"));
    element("pictures").replaceChildren(...sections);
}

for (const id of ["which", "tags", "smoothing", "logarithmic"]) element(id).addEventListener("input", draw);
for (const [id, show] of [["all", true], ["none", false]]) {
    element(id).addEventListener("click", () => {
        const which = element("which").value;
        for (const run of runs.values()) if (run.about.name.includes(which)) run.shown = show;
        draw();
    });
}

(async () => {
    for (;;) {
        try {
            await poll();
        } catch (error) {
            console.error(error);
            const state = element("state");
            state.className = "lost";
            state.textContent = `no answer (${error.message}): is wgflow watch still running? Trying again`;
        }
        await new Promise((resolve) => setTimeout(resolve, EVERY));
    }
})();
