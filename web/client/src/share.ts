// Two states that were made on different ways and say the same: what is equal in both becomes the same object.
import type { Item, SessionState } from "./state.js";

/** `state`, in which whatever `known` has equally is the object that is in `known`: a view need not draw that again. */
export function sharedWith(state: SessionState, known: SessionState): SessionState {
  const shared: { [name: string]: unknown } = { ...state };
  for (const [name, value] of Object.entries(known)) {
    if (name !== "items" && isEqual(shared[name], value)) {
      shared[name] = value;
    }
  }
  const items = new Map(known.items.map((item) => [item.key, item]));
  shared.items = state.items.map((item): Item => {
    const other = items.get(item.key);
    return other && isEqual(item, other) ? other : item;
  });
  return shared as unknown as SessionState;
}

/** Of plain data: what JSON can say, and fields that are `undefined`. */
function isEqual(one: unknown, other: unknown): boolean {
  if (one === other) {
    return true;
  }
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null || Array.isArray(one) !== Array.isArray(other)) {
    return false;
  }
  const names = Object.keys(one);
  return names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isEqual((one as Fields)[name], (other as Fields)[name]));
}

interface Fields {
  [name: string]: unknown;
}
