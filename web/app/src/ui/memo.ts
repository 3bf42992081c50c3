import { Component, h } from "preact";
import type { ComponentType, FunctionComponent } from "preact";

/** A component that is drawn again only when one of its props is another one. */
export function memo<P extends object>(render: FunctionComponent<P>): ComponentType<P> {
  return class Memo extends Component<P> {
    static override displayName = `memo(${render.displayName ?? render.name})`;

    override shouldComponentUpdate(next: P): boolean {
      const names = new Set([...Object.keys(next), ...Object.keys(this.props)]) as Set<keyof P>;
      return [...names].some((name) => !Object.is(next[name], (this.props as P)[name]));
    }

    override render(props: P) {
      return h(render, props);
    }
  };
}
