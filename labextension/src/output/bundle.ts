import { DispatchRow, ElectronRow, Graph, ResultOf } from '../types';

/** The MIME type of a dispatch in a notebook's output. */
export const MIME = 'application/vnd.covalent.dispatch+json';

/** What a notebook keeps of a dispatch: as it was at `as_of`, cut to what is read without a service. */
export interface Bundle {
  version: number;
  dispatch_id: string;
  store_id: string;
  /** Seconds since the epoch. */
  as_of: number;
  row: DispatchRow | null;
  electrons: ElectronRow[];
  graph: Graph | null;
  result: ResultOf | null;
  /** Electrons that are not in here. */
  more: number;
}

const ID = /^[0-9a-f]{4}[0-9a-f-]{0,32}$/;

/** The bundle in a notebook's JSON, which anybody may have written; null where there is none. */
export function readBundle(data: unknown): Bundle | null {
  const found = (data ?? {}) as Partial<Bundle>;
  if (typeof found !== 'object' || !ID.test(String(found.dispatch_id))) {
    return null;
  }
  return {
    version: Number(found.version) || 1,
    dispatch_id: String(found.dispatch_id),
    store_id: String(found.store_id ?? ''),
    as_of: Number(found.as_of) || 0,
    row: isRow(found.row) ? found.row : null,
    electrons: Array.isArray(found.electrons) ? found.electrons.filter(isElectron) : [],
    graph: isGraph(found.graph) ? found.graph : null,
    result: Array.isArray(found.result?.parts) ? found.result! : null,
    more: Number(found.more) || 0
  };
}

function isRow(row: unknown): row is DispatchRow {
  const { counts, inputs, tags, environment } = (row ?? {}) as Partial<DispatchRow>;
  return isObject(counts) && isObject(inputs) && isObject(environment) && Array.isArray(tags);
}

function isElectron(row: unknown): row is ElectronRow {
  const { node, name, status } = (row ?? {}) as Partial<ElectronRow>;
  return typeof node === 'number' && typeof name === 'string' && typeof status === 'string';
}

function isGraph(graph: unknown): graph is Graph {
  const { nodes, edges } = (graph ?? {}) as Partial<Graph>;
  return Array.isArray(nodes) && Array.isArray(edges);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}
