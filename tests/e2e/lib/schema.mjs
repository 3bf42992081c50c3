// JSON Schema as far as Signalbox uses it, and its OpenAPI: whether an answer is what the description says of it.
const TYPES = {
  object: (value) => value !== null && typeof value === 'object' && !Array.isArray(value),
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
};
const KNOWN = new Set(['$ref', 'type', 'enum', 'const', 'properties', 'required', 'items', 'minimum', 'maximum', 'minLength', 'maxLength',
  'pattern', 'anyOf', 'oneOf', 'allOf', 'additionalProperties', 'description', 'default', 'examples', '$schema', '$id', '$defs', 'title', '$comment']);

const pointed = (root, reference) =>
  reference.slice(2).split('/').reduce((at, key) => at[key.replaceAll('~1', '/').replaceAll('~0', '~')], root);

/** What is wrong with `value`, as `PATH: WHY`; a keyword that is not known here is wrong too. */
export function faults(root, schema, value, at = '') {
  const unknown = Object.keys(schema).filter((keyword) => !KNOWN.has(keyword));
  if (unknown.length) {
    return [`${at}: this checker does not know ${unknown}`];
  }
  const found = [];
  const fault = (why) => found.push(`${at || '/'}: ${why}`);
  const inner = (of, part, where) => faults(root, of, part, where);
  if (schema.$ref) {
    found.push(...inner(pointed(root, schema.$ref), value, at));
  }
  const types = [schema.type ?? []].flat();
  if (types.length && !types.some((type) => TYPES[type](value))) {
    fault(`is no ${types}`);
    return found;
  }
  if (schema.enum && !schema.enum.includes(value)) {
    fault(`is none of ${schema.enum}`);
  }
  if ('const' in schema && schema.const !== value) {
    fault(`is not ${schema.const}`);
  }
  if (typeof value === 'number' && (value < schema.minimum || value > schema.maximum)) {
    fault('is out of bounds');
  }
  if (typeof value === 'string') {
    const length = [...value].length;
    if (length < schema.minLength || length > schema.maxLength || (schema.pattern && !new RegExp(schema.pattern, 'u').test(value))) {
      fault('is no such text');
    }
  }
  if (TYPES.object(value)) {
    (schema.required ?? []).filter((name) => !(name in value)).forEach((name) => fault(`${name} is missing`));
    for (const [name, part] of Object.entries(value)) {
      if (schema.properties?.[name]) {
        found.push(...inner(schema.properties[name], part, `${at}/${name}`));
      }
    }
  }
  if (Array.isArray(value) && schema.items) {
    value.forEach((part, index) => found.push(...inner(schema.items, part, `${at}/${index}`)));
  }
  (schema.allOf ?? []).forEach((of) => found.push(...inner(of, value, at)));
  for (const [some, most] of [[schema.anyOf, Infinity], [schema.oneOf, 1]]) {
    const fits = some?.filter((of) => inner(of, value, at).length === 0).length;
    if (some && (fits < 1 || fits > most)) {
      fault(`fits ${fits} of ${some.length}`);
    }
  }
  return found;
}

/** A description of HTTP, and what is wrong with an answer (lib/http.mjs) by it. */
export class OpenApi {
  constructor(document) {
    this.document = document;
    this.paths = Object.entries(document.paths).map(([path, methods]) =>
      ({ path, methods, is: new RegExp(`^${path.replace(/\{[^}]+\}/g, '[^/]+')}$`) }));
  }

  operation(method, where) {
    const known = this.paths.find(({ is }) => is.test(where.split('?')[0]));
    return known?.methods[method.toLowerCase()];
  }

  faults(method, where, answer) {
    const { responses } = this.operation(method, where);
    const described = responses[answer.status] ?? responses.default;
    const { content } = described.$ref ? pointed(this.document, described.$ref) : described;
    const type = answer.headers['content-type'] ?? '';
    if (!content) {
      return answer.body.length ? [`a body of ${type} where none is described`] : [];
    }
    const media = content[type] ?? content[type.split(';')[0]] ?? content['*/*'];
    if (!media) {
      return [`${type}, where there should be ${Object.keys(content)}`];
    }
    return type.includes('json') && !type.includes('x-ndjson') ? faults(this.document, media.schema, answer.json) : [];
  }
}
