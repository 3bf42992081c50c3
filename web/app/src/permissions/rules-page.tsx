export function RulesPage() {
  return <main>Rules</main>;
}
