// Prometheus' text format, read strictly.
import assert from 'node:assert/strict';

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{((?:${LABEL},?)*)\\})? (NaN|[+-]Inf|[-+0-9.eE]+)$`);

/** -> Map(family -> {type, samples: [{name, labels, value}]}) */
export function parseMetrics(text) {
  assert.ok(text.endsWith('\n'));
  const families = new Map();
  let family = null;
  const begin = (name) => {
    if (family?.name !== name) {
      assert.ok(!families.has(name), `${name} in two places`);
      family = { name, type: 'untyped', samples: [] };
      families.set(name, family);
    }
  };
  for (const line of text.split('\n').filter(Boolean)) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment) {
      begin(comment[2]);
      if (comment[1] === 'TYPE') {
        assert.match(comment[3], /^(counter|gauge|histogram|summary|untyped)$/);
        family.type = comment[3];
      }
      continue;
    }
    const sample = SAMPLE.exec(line);
    assert.ok(sample, `not a sample: ${line}`);
    const base = sample[1].replace(/_(bucket|sum|count)$/, '');
    assert.ok(family && [sample[1], base].includes(family.name), `${line} is not under its family`);
    family.samples.push({ name: sample[1], labels: sample[2] ?? '', value: Number(sample[3].replace('Inf', 'Infinity')) });
  }
  for (const { name, type, samples } of families.values()) {
    assert.equal(new Set(samples.map((one) => one.name + one.labels)).size, samples.length, `${name}: a sample twice`);
    if (type === 'counter') {
      assert.ok(samples.every((one) => one.value >= 0), `${name} counts`);
    }
    if (type === 'histogram') {
      checkHistogram(name, samples);
    }
  }
  return families;
}

function checkHistogram(name, samples) {
  const series = new Map();
  for (const { name: sample, labels, value } of samples.filter((one) => one.name === `${name}_bucket`)) {
    const rest = labels.replace(/,?le="[^"]*"/, '');
    const values = series.get(rest) ?? [];
    assert.ok(values.length === 0 || value >= values.at(-1), `${sample} does not fall`);
    series.set(rest, [...values, value]);
  }
  assert.ok(series.size > 0 && samples.some((one) => one.labels.includes('le="+Inf"')), `${name} has its buckets`);
}
