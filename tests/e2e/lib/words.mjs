// What is said of a test that failed, behind its own words: of a CI's run there is nothing but the log.
const witnesses = [];
let ofFile = null; // how many there were when the first test began

/** `look()` answers what a server, a page or an agent has to say at that moment; nothing, where there is nothing any more. */
export function onFailure(look) {
  witnesses.push(look);
}

/** When a test begins: -> a function that adds to its error what the witnesses of the file, and its own, have to say. */
export function listen() {
  const from = witnesses.length;
  ofFile ??= from;
  return async (error) => {
    if (!(error instanceof Error)) {
      return error;
    }
    const said = [];
    for (const look of [...witnesses.slice(0, Math.min(ofFile, from)), ...witnesses.slice(from)]) {
      try {
        said.push(await look());
      } catch (fault) {
        said.push(`(nothing to be had: ${String(fault).slice(0, 200)})`);
      }
    }
    const text = said.filter(Boolean).join('\n');
    if (text) {
      error.message += `\n${text}`;
    }
    return error;
  };
}
