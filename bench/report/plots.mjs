// The plots: SVG that reads on light and dark ground.

const STYLE = `<style>
  :root { --ink: #1f2328; --soft: #656d76; --line: #d0d7de; --ground: #ffffff;
    --c0: #2f6fb0; --c1: #d9822b; --c2: #3c9a5f; --c3: #a0529c; --c4: #b8443a; --c5: #7a7f87; --c6: #4fa8b8; --c7: #8f7a2e; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --ground: #0d1117;
      --c0: #5a9be0; --c1: #e8a357; --c2: #5fbf82; --c3: #c583c1; --c4: #e0736a; --c5: #9aa0a8; --c6: #76c4d3; --c7: #bda552; }
  }
  text { font: 13px system-ui, sans-serif; fill: var(--ink); }
  .soft { fill: var(--soft); font-size: 12px; }
  .title { font-weight: 600; font-size: 14px; }
  .grid { stroke: var(--line); stroke-width: 1; }
  .ground { fill: var(--ground); }
</style>`;

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
const text = (x, y, what, more = '') => `<text x="${x}" y="${y}" ${more}>${escape(what)}</text>`;
const line = (x1, y1, x2, y2) => `<line class="grid" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;
const fixed = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

function drawing(width, height, title, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">
${STYLE}
<rect class="ground" width="${width}" height="${height}"/>
${text(16, 24, title, 'class="title"')}
${parts.join('\n')}
</svg>
`;
}

/** A step that makes some five lines up to `most`. */
function stepFor(most) {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

/** Horizontal bars in parts: rows are {label, parts: [{name, value}]}. */
export function bars(title, unit, rows) {
  const left = 110;
  const width = 760;
  const room = width - left - 90;
  const most = Math.max(...rows.map((row) => row.parts.reduce((sum, part) => sum + part.value, 0)), 1e-9);
  const names = [...new Set(rows.flatMap((row) => row.parts.map((part) => part.name)))];
  const step = stepFor(most);
  const bottom = 44 + rows.length * 34;
  const parts = [];
  for (let value = 0; value <= most; value += step) {
    const x = left + (room * value) / most;
    parts.push(line(x, 38, x, bottom), text(x, bottom + 16, Number(value.toPrecision(6)), 'class="soft" text-anchor="middle"'));
  }
  parts.push(text(width - 16, bottom + 16, unit, 'class="soft" text-anchor="end"'));
  rows.forEach((row, index) => {
    const y = 44 + index * 34;
    let x = left;
    parts.push(text(left - 10, y + 17, row.label, 'text-anchor="end"'));
    for (const part of row.parts) {
      const size = (room * part.value) / most;
      parts.push(`<rect x="${x.toFixed(1)}" y="${y}" width="${size.toFixed(1)}" height="24" fill="var(--c${names.indexOf(part.name) % 8})"/>`);
      x += size;
    }
    parts.push(text(x + 6, y + 17, fixed(row.parts.reduce((sum, part) => sum + part.value, 0))));
  });
  let x = left;
  let y = bottom + 40;
  names.forEach((name, index) => {
    if (x > width - 120) {
      x = left;
      y += 22;
    }
    parts.push(`<rect x="${x}" y="${y - 11}" width="12" height="12" fill="var(--c${index % 8})"/>`, text(x + 17, y, name, 'class="soft"'));
    x += 32 + name.length * 7.5;
  });
  return drawing(width, y + 16, title, parts);
}

/** Points on a logarithmic axis: rows are {label, points: [{name, value}]}. */
export function points(title, unit, rows) {
  const left = 110;
  const width = 760;
  const room = width - left - 40;
  const values = rows.flatMap((row) => row.points.map((point) => point.value)).filter((value) => value > 0);
  const low = 10 ** Math.floor(Math.log10(Math.min(...values, 1)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values, 1.1)));
  const place = (value) => left + (room * Math.log10(Math.max(value, low) / low)) / Math.log10(high / low);
  const bottom = 44 + rows.length * 34;
  const names = [...new Set(rows.flatMap((row) => row.points.map((point) => point.name)))];
  const parts = [];
  for (let value = low; value <= high * 1.001; value *= 10) {
    parts.push(line(place(value), 38, place(value), bottom),
      text(place(value), bottom + 16, `${Number(value.toPrecision(3))} ${unit}`, 'class="soft" text-anchor="middle"'));
  }
  rows.forEach((row, index) => {
    const y = 56 + index * 34;
    const all = row.points.map((point) => place(point.value));
    parts.push(text(left - 10, y + 5, row.label, 'text-anchor="end"'),
      `<line x1="${Math.min(...all)}" y1="${y}" x2="${Math.max(...all)}" y2="${y}" stroke="var(--soft)" stroke-width="1.5"/>`);
    row.points.forEach((point) => {
      const color = `var(--c${names.indexOf(point.name) % 8})`;
      parts.push(`<circle cx="${place(point.value).toFixed(1)}" cy="${y}" r="6" fill="${color}"><title>${escape(`${point.name}: ${fixed(point.value)} ${unit}`)}</title></circle>`);
    });
  });
  names.forEach((name, index) => {
    const x = left + index * 90;
    parts.push(`<circle cx="${x}" cy="${bottom + 36}" r="6" fill="var(--c${index % 8})"/>`, text(x + 12, bottom + 41, name, 'class="soft"'));
  });
  return drawing(width, bottom + 56, title, parts);
}

/** Lines over steps that are equally far apart: series are {name, unit, values}, each with an axis of its own. */
export function lines(title, steps, series) {
  const width = 760;
  const height = 230;
  const each = (width - 40) / series.length;
  const parts = [];
  series.forEach((one, index) => {
    const left = 60 + index * each;
    const right = left + each - 80;
    const most = Math.max(...one.values, 1e-9) * 1.15;
    const x = (i) => left + ((right - left) * i) / Math.max(steps.length - 1, 1);
    const y = (value) => 190 - (130 * value) / most;
    const step = stepFor(most);
    parts.push(text(left, 48, one.name, 'class="soft"'));
    for (let value = 0; value <= most; value += step) {
      parts.push(line(left, y(value), right, y(value)), text(left - 6, y(value) + 4, Number(value.toPrecision(6)), 'class="soft" text-anchor="end"'));
    }
    steps.forEach((label, i) => parts.push(text(x(i), 208, label, 'class="soft" text-anchor="middle"')));
    parts.push(`<polyline fill="none" stroke="var(--c${index})" stroke-width="2.5" points="${one.values.map((value, i) => `${x(i)},${y(value)}`).join(' ')}"/>`);
    one.values.forEach((value, i) => parts.push(`<circle cx="${x(i)}" cy="${y(value)}" r="4" fill="var(--c${index})"><title>${fixed(value)}</title></circle>`));
  });
  return drawing(width, height, title, parts);
}
