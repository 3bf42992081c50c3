const PATHS: { [kind: string]: string } = {
  execute: "M3 4.5 6.5 8 3 11.5M8 12h5",
  edit: "M3 13l.7-2.9L10.6 3.2a1.2 1.2 0 0 1 1.7 0l.5.5a1.2 1.2 0 0 1 0 1.7L5.9 12.3 3 13ZM9.3 4.5l2.2 2.2",
  delete: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5 5 13h6l.5-8.5M7 7v3.5M9 7v3.5",
  move: "M2.5 8h10.5M9.5 4.5 13 8l-3.5 3.5",
  read: "M4 2.5h5.5L12.5 5.5v8H4zM9.5 2.5v3h3M6 8.5h4.5M6 11h3",
  search: "M11.5 11.5 14 14M12 7.25a4.75 4.75 0 1 1-9.5 0 4.75 4.75 0 0 1 9.5 0Z",
  fetch: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM2 8h12M8 2c2 2 2.5 4 2.5 6S10 12 8 14M8 2C6 4 5.500 6 5.500 8S6 12 8 14",
  think: "M6 13h4M6.500 10.500C5 9.500 4 8.300 4 6.500a4 4 0 0 1 8 0c0 1.800-1 3-2.500 4z",
  switch_mode: "M3 5.500h8M8.500 3 11 5.500 8.500 8M13 10.500H5M7.500 8 5 10.500 7.500 13",
};
const OTHER = "M9.500 3a3.500 3.500 0 0 0-3.300 4.700L2.500 11.400V13.500h2.100l3.700-3.700A3.500 3.500 0 1 0 9.500 3ZM10.500 5.500h.01";

/** What kind of thing a tool does, as a small picture; the words stand beside it. */
export function KindIcon({ kind }: { kind: string }) {
  return (
    <svg class="kind-icon" viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.4"
      stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[kind] ?? OTHER} />
    </svg>
  );
}
