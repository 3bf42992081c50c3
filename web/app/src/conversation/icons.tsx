// Small pictures of what the conversation is made of. 16 by 16, drawn with the text's colour.
import type { ComponentChildren } from "preact";

function Icon({ children, class: name }: { children: ComponentChildren; class?: string }) {
  return (
    <svg class={`conv-icon ${name ?? ""}`} width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.4"
      stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const ChevronIcon = ({ class: name }: { class?: string }) => <Icon class={name}><path d="m6 3.5 4.5 4.5L6 12.5" /></Icon>;
export const ThoughtIcon = () => <Icon><path d="M8 2.2v2M8 11.8v2M2.2 8h2M11.8 8h2M4 4l1.4 1.4M10.6 10.6 12 12M4 12l1.4-1.4M10.6 5.4 12 4" /></Icon>;
export const PlanIcon = () => <Icon><path d="m2.5 4 1 1 1.7-2M2.5 11l1 1 1.7-2M8 4.2h5.5M8 11.2h5.5" /></Icon>;
export const AgentIcon = () => <Icon><circle cx="4" cy="8" r="2" /><circle cx="12" cy="4" r="1.6" /><circle cx="12" cy="12" r="1.6" /><path d="m5.8 7.1 4.7-2.4M5.8 8.9l4.7 2.4" /></Icon>;

const KINDS: { [kind: string]: ComponentChildren } = {
  execute: <path d="m2.5 4 4 4-4 4M8.5 12.5h5" />,
  read: <><path d="M8 4.3C6.5 3.2 4.500 2.900 2 3v9.300c2.500-.1 4.500.2 6 1.200 1.500-1 3.500-1.300 6-1.200V3c-2.500-.1-4.500.2-6 1.300zM8 4.300v9" /></>,
  edit: <path d="m10.8 2.600 2.600 2.600-8 8-3.200.6.6-3.200zM9 4.400 11.600 7" />,
  delete: <path d="M2.800 4.300h10.400M6.200 4.300V2.700h3.600v1.600M4 4.300l.6 9h6.800l.6-9M6.700 6.800v4M9.300 6.800v4" />,
  move: <path d="M2.500 8h11M9.800 4.300 13.500 8l-3.700 3.700" />,
  search: <><circle cx="7" cy="7" r="4.300" /><path d="m10.200 10.200 3.500 3.500" /></>,
  fetch: <><circle cx="8" cy="8" r="5.700" /><path d="M2.300 8h11.400M8 2.300c2 1.700 2.500 3.600 2.500 5.700S10 12 8 13.700C6 12 5.500 10.100 5.500 8S6 4 8 2.300z" /></>,
  think: <path d="M8 2.200v2M8 11.800v2M2.200 8h2M11.800 8h2M4 4l1.400 1.400M10.600 10.600 12 12M4 12l1.400-1.400M10.600 5.400 12 4" />,
  switch_mode: <path d="M3 5.500h8.500M9 3l2.500 2.500L9 8M13 10.500H4.500M7 8l-2.500 2.500L7 13" />,
  other: <path d="M9.500 2.500a3.500 3.500 0 0 0-3.300 4.700L2.500 11v2.500H5l3.800-3.700a3.500 3.500 0 0 0 4.500-4.400L11 7.600 8.500 5l2.200-2.300a3.600 3.600 0 0 0-1.200-.2z" />,
};

/** By ACP's kind of tool. */
export function ToolIcon({ kind }: { kind: string }) {
  return <Icon>{Object.hasOwn(KINDS, kind) ? KINDS[kind] : KINDS.other}</Icon>;
}
