/* Brings the blocks of als_core/book/interactive.py to life. No library, nothing is fetched.
   Formulas are ports of als_core/statistics/power.py and granularity.py; tests compare the two. */
(() => {
  "use strict";

  // --- formulas

  const designEffect = (images, correlation) => 1 + (images - 1) * correlation;
  const effectiveSize = (donors, images, correlation) => (donors * images) / designEffect(images, correlation);

  const accuracyInterval = (accuracy, donors, images, correlation, z) => {
    const n = effectiveSize(donors, images, correlation);
    const centre = (accuracy + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
    const half = (z / (1 + z ** 2 / n)) * Math.sqrt((accuracy * (1 - accuracy)) / n + z ** 2 / (4 * n ** 2));
    return [Math.max(0, centre - half), Math.min(1, centre + half)];
  };

  const donorsNeeded = (accuracy, within, images, correlation, z) => {
    const wide = (donors) => {
      const [low, high] = accuracyInterval(accuracy, donors, images, correlation, z);
      return (high - low) / 2 > within;
    };
    let most = 1;
    while (wide(most)) {
      most *= 2;
      if (most > 1e7) return Infinity;
    }
    let least = Math.floor(most / 2);
    while (most - least > 1) {
      const middle = Math.floor((most + least) / 2);
      if (wide(middle)) least = middle;
      else most = middle;
    }
    return most;
  };

  const printedRange = (text) => {
    const found = /^(\d+)(?:\.(\d+))?\s?(%)?$/.exec(text.trim());
    if (!found) return null;
    const decimals = found[2] || "";
    const value = 2 * Number(found[1] + decimals);
    return { lowest: value - 1, highest: value + 1, unit: 2 * 10 ** decimals.length * (found[3] ? 100 : 1) };
  };

  const possibleCounts = (text, n) => {
    const range = printedRange(text);
    const first = Math.max(0, Math.ceil((n * range.lowest) / range.unit));
    const last = Math.min(n, Math.floor((n * range.highest) / range.unit));
    return first > last ? [] : Array.from({ length: last - first + 1 }, (_, k) => first + k);
  };

  const possibleSizes = (text, largest) => {
    const sizes = [];
    for (let n = 1; n <= largest; n++) if (possibleCounts(text, n).length) sizes.push(n);
    return sizes;
  };

  window.AlsPlay = { accuracyInterval, donorsNeeded, printedRange, possibleCounts, possibleSizes };

  // --- blocks

  const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
  const form = (block) => block.querySelector("form");
  const say = (block, text) => { block.querySelector("output").textContent = text; };

  const kinds = {
    overlay(block, { maps, images }) {
      const { method, opacity } = form(block).elements, [under, over] = block.querySelectorAll("img");
      return () => {
        if (images[method.value]) under.src = images[method.value];
        over.src = maps[method.value];
        over.style.opacity = opacity.value / 100;
        say(block, `${method.value}, opacity ${opacity.value} %`);
      };
    },

    wipe(block, { images }) {
      const { name, share } = form(block).elements, over = block.querySelector(".als-over");
      return () => {
        over.src = images[name.value];
        over.alt = `after: ${name.value}`;
        over.style.clipPath = `inset(0 ${100 - share.value}% 0 0)`;
        over.parentElement.style.setProperty("--als-edge", `${share.value}%`);
        say(block, `left ${share.value} %: ${name.value}; right: before`);
      };
    },

    roc(block, { curves, positive }) {
      const { curve, step } = form(block).elements, cells = block.querySelectorAll("tbody td");
      const at = ([x, y]) => `${(30 + 200 * x).toFixed(1)},${(210 - 200 * y).toFixed(1)}`;
      block.querySelector(".als-plot").innerHTML =
        `<svg viewBox="0 0 250 250" role="img" aria-label="ROC curve"><path class="als-axis" d="M30,10V210H230"/>` +
        `<path class="als-guess" d="M${at([0, 0])}L${at([1, 1])}"/><polyline/><circle r="6"/>` +
        `<text x="130" y="240" text-anchor="middle">false alarms</text>` +
        `<text x="14" y="110" text-anchor="middle" transform="rotate(-90 14 110)">sensitivity</text></svg>`;
      const dot = block.querySelector("circle"), line = block.querySelector("polyline");
      let drawn = "";
      return () => {
        const { points, positives, negatives } = curves[curve.value];
        const place = ([, tp, fp]) => [fp / negatives, tp / positives];
        if (drawn !== curve.value) {
          const share = step.value / step.max;
          step.max = points.length - 1;
          if (drawn) step.value = Math.round(share * step.max);
          line.setAttribute("points", [[0, 0], ...points.map(place), [1, 1]].map(at).join(" "));
          drawn = curve.value;
        }
        const [threshold, tp, fp] = points[step.value];
        const [x, y] = at(place(points[step.value])).split(",");
        dot.setAttribute("cx", x);
        dot.setAttribute("cy", y);
        [tp, positives - tp, fp, negatives - fp].forEach((count, cell) => { cells[cell].textContent = count; });
        const right = (tp + negatives - fp) / (positives + negatives);
        say(block, `${positive} from a score of ${Number(threshold.toPrecision(3))}: sensitivity ${percent(tp / positives)}, ` +
          `specificity ${percent(1 - fp / negatives)}, accuracy ${percent(right, 1)}`);
      };
    },

    curves(block, { curves, places, x }) {
      const rows = block.querySelectorAll("tbody tr");
      const most = Math.max(...Object.values(curves).flat().map((point) => point[1]));
      return () => {
        const place = places[form(block).elements.step.value];
        Object.values(curves).forEach((curve, number) => {
          const near = curve.reduce((a, b) => (Math.abs(b[0] - place) < Math.abs(a[0] - place) ? b : a));
          rows[number].querySelector("td").textContent = near[1].toFixed(2);
          rows[number].querySelector(".als-bar span").style.width = `${most > 0 ? Math.max(0, (100 * near[1]) / most) : 0}%`;
        });
        say(block, `${x}: ${Number(place.toPrecision(3))}`);
      };
    },

    donors(block, { z, level }) {
      return () => {
        const read = (name) => Number(form(block).elements[name].value);
        const accuracy = read("accuracy") / 100, within = read("within") / 100, correlation = read("correlation") / 100;
        const donors = read("donors"), images = read("images");
        if (!(accuracy >= 0 && accuracy <= 1 && within > 0 && within < 0.5 && donors >= 1 && images >= 1)) {
          say(block, "Give an accuracy up to 100, at least one donor and one image, and a width above 0 and below 50.");
          return;
        }
        const [low, high] = accuracyInterval(accuracy, donors, images, correlation, z);
        const size = effectiveSize(donors, images, correlation), needed = donorsNeeded(accuracy, within, images, correlation, z);
        const many = Number.isFinite(needed) ? `${needed.toLocaleString("en")} donors are needed` : "more than ten million donors are needed";
        say(block, `Correlation ${correlation.toFixed(2)}. ${donors} donors with ${images} images each are worth ${size.toFixed(1)} independent images: ` +
          `${level} % interval ${percent(low)} to ${percent(high)}. For plus or minus ${percent(within)}, ${many}.`);
      };
    },

    share(block) {
      return () => {
        const { printed, largest } = form(block).elements, text = printed.value, most = Math.min(Number(largest.value), 100000);
        if (!printedRange(text)) {
          say(block, "Type one number as it is printed, such as 70.34% or 0.8947.");
          return;
        }
        const sizes = possibleSizes(text, most);
        const shown = sizes.slice(0, 12).map((n) => `${possibleCounts(text, n).join(" or ")} of ${n}`).join(", ");
        say(block, sizes.length
          ? `${text} is a share of ${sizes.length} of the numbers up to ${most}: ${shown}${sizes.length > 12 ? ", ..." : ""}.`
          : `${text} is no share of any number up to ${most}.`);
      };
    },

    points(block) {
      const dots = [...block.querySelectorAll("circle")];
      const tell = (dot) => say(block, dot.getAttribute("aria-label"));
      const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
      dots.forEach((dot, number) => {
        dot.setAttribute("tabindex", number ? -1 : 0);
        ["mouseenter", "focus"].forEach((event) => dot.addEventListener(event, () => tell(dot)));
        dot.addEventListener("keydown", (event) => {
          if (!(event.key in steps)) return;
          event.preventDefault();
          const next = dots[Math.max(0, Math.min(dots.length - 1, number + steps[event.key]))];
          dots.forEach((other) => other.setAttribute("tabindex", other === next ? 0 : -1));
          next.focus();
        });
      });
      return () => {};
    },
  };

  const start = () => document.querySelectorAll(".als-play").forEach((block) => {
    const data = JSON.parse(block.querySelector('script[type="application/json"]').textContent);
    const update = kinds[block.dataset.play](block, data);
    if (form(block)) {
      form(block).addEventListener("submit", (event) => event.preventDefault());
      form(block).addEventListener("input", update);
    }
    block.hidden = false;
    update();
  });

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
