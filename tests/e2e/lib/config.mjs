// Configuration files in libconfuse's syntax.
const quoted = (text) => `"${String(text).replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`;

function value(of) {
  if (Array.isArray(of)) {
    return `{${of.map(quoted).join(', ')}}`;
  }
  return typeof of === 'string' ? quoted(of) : String(of);
}

function lines(settings, indent = '') {
  return Object.entries(settings).map(([key, of]) => `${indent}${key} = ${value(of)}`);
}

/** settings {key: string|number|boolean|[string]}; agents {name: settings, environment as {KEY: value}}. */
export function configText(settings, agents = {}) {
  const text = lines(settings);
  for (const [name, { environment = {}, ...agent }] of Object.entries(agents)) {
    const pairs = Object.entries(environment).map(([key, of]) => `${key}=${of}`);
    text.push(`agent ${name} {`);
    text.push(...lines({ ...agent, ...(pairs.length ? { environment: pairs } : {}) }, '  '));
    text.push('}');
  }
  return `${text.join('\n')}\n`;
}
