/** Cells that are put into notebooks: each runs in a fresh kernel too. */

/** So many characters of an id name it for long. */
const SHORT = 8;

function cell(code: string): string {
  return `import covalent_jupyter as ct\n\n${code}`;
}

function named(id: string): string {
  return JSON.stringify(id.slice(0, SHORT));
}

/** Fetches the results of these dispatches. */
export function resultCell(...ids: string[]): string {
  return cell(
    ids.length === 1
      ? `result = ct.get_result(${named(ids[0])})\nresult.value`
      : `results = [ct.get_result(id) for id in [${ids.map(named).join(', ')}]]`
  );
}

/** Fetches the value of an electron. */
export function valueCell(id: string, node: number): string {
  return cell(`ct.get_result(${named(id)}).electrons[${node}].value`);
}

/** Runs an electron in the kernel, under a debugger. */
export function debugCell(id: string, node: number): string {
  return cell(`ct.debug(${named(id)}, ${node})`);
}

/** Runs what did not complete, with the definitions of the notebook's kernel. */
export function currentCodeCell(id: string): string {
  return cell(`ct.redispatch(${named(id)}, code="current", rerun="failed")()`);
}
