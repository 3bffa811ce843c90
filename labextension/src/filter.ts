import { Query } from './source';
import { hasEnded } from './states';
import { DispatchRow, Group, Summary } from './types';

/** The states of a dispatch that has not ended. */
export const UNDER_WAY = 'NEW_OBJECT,PENDING_REUSE,DISPATCHING,RUNNING';
const ENDED = 'COMPLETED,FAILED,CANCELLED,SKIPPED';

export type StateFilter = 'all' | 'running' | 'failed';
export const GROUPINGS = ['day', 'lattice', 'notebook'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** What of the dispatches is listed. */
export interface Filter {
  text: string;
  state: StateFilter;
  /** Path of a notebook below the server's root; "": any. */
  notebook: string;
}

export const EVERYTHING: Filter = { text: '', state: 'all', notebook: '' };

export interface Totals {
  all: number;
  running: number;
  failed: number;
}

export function isFiltering({ text, state, notebook }: Filter): boolean {
  return text.trim() !== '' || state !== 'all' || notebook !== '';
}

/** What the service is asked for: dispatches in these states that match. `status` is "" where none can. */
export function queryOf({ text, state, notebook }: Filter, status: string): Query {
  const wanted = { all: status, running: status === UNDER_WAY ? status : '', failed: status === ENDED ? 'FAILED' : '' };
  return { parent: 'none', q: text.trim(), notebook, status: wanted[state] };
}

/** The same for those of a group that have ended. */
export function pastQueryOf(filter: Filter, grouping: Grouping, group: string): Query {
  const query = queryOf(filter, ENDED);
  switch (grouping) {
    case 'lattice':
      return { ...query, lattice: group };
    case 'notebook':
      return { ...query, notebook: group || 'none' };
    default:
      return query;
  }
}

/** What is asked to count them: in all states, so that the filter by state can say how many each has. */
export function summaryQueryOf({ text, notebook }: Filter): Query {
  return { parent: 'none', q: text.trim(), notebook };
}

/** What the service has counted: by state, how many ended ones match, and the groups that have some. */
export function counted(summary: Summary, { state }: Filter): { totals: Totals; past: number; groups: Group[] } {
  const sum = (names: string) => names.split(',').reduce((total, name) => total + (summary.states[name] ?? 0), 0);
  const [running, ended, failed] = [sum(UNDER_WAY), sum(ENDED), sum('FAILED')];
  const some = { all: () => true, running: () => false, failed: (group: Group) => group.failed > 0 };
  return {
    totals: { all: running + ended, running, failed },
    past: { all: ended, running: 0, failed }[state],
    groups: summary.groups
      .map(group => (state === 'failed' ? { ...group, total: group.failed, running: 0 } : group))
      .filter(group => some[state](group) && group.total > group.running)
  };
}

/** The key of the group that a dispatch belongs to. */
export function groupOf(row: DispatchRow, grouping: Grouping): string {
  return { day: '', lattice: row.lattice, notebook: row.notebook }[grouping];
}

/** Whether a dispatch matches, as the service sees it. */
export function passes(row: DispatchRow, { text, state, notebook }: Filter): boolean {
  if ((state === 'running' && hasEnded(row)) || (state === 'failed' && row.status !== 'FAILED')) {
    return false;
  }
  if (notebook && row.notebook !== notebook && !row.notebook.endsWith(`/${notebook}`)) {
    return false;
  }
  return told(row).includes(text.trim().toLowerCase());
}

/** What of a dispatch is searched, in lower case: as the service searches. */
function told(row: DispatchRow): string {
  const { dispatch_id, name, label, lattice, notebook, note, tags, inputs, error } = row;
  const parts = [dispatch_id, name, label, lattice, notebook, note, ...tags, ...Object.values(inputs), error];
  return parts.join('\n').toLowerCase();
}
